#pragma once

#include <filesystem>

#include "data/format/run_file.h"

namespace longshadow {

/// Writes `run` as an HDF5 file of format version 1 (data/FORMAT.md) and publishes it: `path` is
/// complete or is not there. The same `run` gives the same bytes. The whole file is held in memory
/// while it is written, beside `run` itself.
/// Throws FormatError where a field's size disagrees with the others', where `path` exists (call
/// check_output() of data/format/publish.h first), or where the disk refuses.
void write_run(const std::filesystem::path& path, const RunFile& run);

}  // namespace longshadow
