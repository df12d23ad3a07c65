#include "analysis/runs/merge.h"

#include <algorithm>
#include <string>

#include "data/format/error.h"
#include "data/format/run_writer.h"

namespace longshadow {
namespace {

/// Enough to see where the hole is.
constexpr std::size_t kGapsNamed = 3;

[[noreturn]] void refuse_gaps(const MeasuredShare& share, const RunDirectory& directory) {
  std::string gaps;
  for (std::size_t i = 0; i < std::min(kGapsNamed, share.gaps.size()); ++i) {
    gaps += (i == 0 ? "" : "; ") + share.gaps[i];
  }
  if (share.gaps.size() > kGapsNamed) {
    gaps += "; and " + std::to_string(share.gaps.size() - kGapsNamed) + " more";
  }
  throw FormatError("cannot merge " + describe(share, directory) + ". Missing: " + gaps +
                    ". The command that began the run, with -o " +
                    (directory.folder() / "").string() + ", measures what is missing");
}

}  // namespace

void merge_run(const RunDirectory& directory, const std::filesystem::path& output) {
  const MeasuredShare share = measured_share(directory);
  if (!share.complete()) refuse_gaps(share, directory);
  RunWriter writer(output, directory.plan().run);
  for (std::size_t d = 0; d < directory.plan().documents.size(); ++d) {
    writer.add(directory.read_document(d, Projections::read));
  }
  writer.publish();
}

}  // namespace longshadow
