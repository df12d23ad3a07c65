// The plan of a run directory of which nothing is measured.
#include "analysis/runs/run_directory.h"
#include "data/format/error.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/written_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  static const fuzz::WrittenFile plan(kPlanName);
  plan.hold(fuzz::bytes_of(data, size));
  fuzz::answers<FormatError>([] { measured_share_of(plan.folder()); });
  return 0;
}
