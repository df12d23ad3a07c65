// A run file.
#include "analysis/runs/run_reader.h"
#include "data/format/error.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/written_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  static const fuzz::WrittenFile file("run.h5");
  file.hold(fuzz::bytes_of(data, size));
  fuzz::answers<FormatError>([] { read_run(file.path()); });
  return 0;
}
