#pragma once

#include <filesystem>

#include "data/format/run_file.h"

namespace longshadow {

/// Reads a run file of format version 1 (data/FORMAT.md). The file may come from a stranger: every
/// link, storage layout, filter, type, shape and index is checked before it is used, and no more is
/// allocated than the file stores. Throws FormatError naming the file and the object at fault.
RunFile read_run(const std::filesystem::path& path);

}  // namespace longshadow
