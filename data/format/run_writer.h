#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "data/format/hdf5.h"
#include "data/format/run_file.h"

namespace longshadow {

/// Writes a run file of format version 1 (data/FORMAT.md) document by document. The same calls give
/// the same bytes. Of what is written no more is in memory than the system likes to keep there.
class RunWriter {
 public:
  /// Of `run` all but its documents. Throws FormatError where nothing can be written beside `path`.
  RunWriter(const std::filesystem::path& path, const RunFile& run);
  /// Throws FormatError where a field's size disagrees with the others', or the disk has no room.
  void add(const DocumentRun& document);
  /// Ends the writing: the path is complete or is not there. Throws FormatError where it exists
  /// (call check_output() of data/format/publish.h first), or where the disk refuses.
  void publish();

 private:
  std::filesystem::path path_;
  RunModel model_;
  hdf5::NewFile file_;
  std::set<std::string> names_;
};

/// The same for a run that is in memory as a whole.
void write_run(const std::filesystem::path& path, const RunFile& run);

}  // namespace longshadow
