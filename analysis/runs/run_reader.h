#pragma once

#include <filesystem>
#include <string>

#include "data/format/run_file.h"

namespace longshadow {

/// Choice about a sketch's projections: they take a hundred times the room of its maps, and few
/// readers want them.
enum class Projections { left_out, read };

/// Reads a run file of format version 1 (data/FORMAT.md), or a run directory as far as it is
/// measured: documents of which nothing is are left out. The file may come from a stranger: every
/// link, storage layout, filter, type, shape and index is checked before it is used, and no more is
/// allocated than the file stores. Throws FormatError naming the file and the object at fault.
RunFile read_run(const std::filesystem::path& path,
                 Projections projections = Projections::left_out);

/// Reads the configuration's hash of a run file, and nothing else. Throws FormatError.
std::string read_configuration_hash(const std::filesystem::path& path);

}  // namespace longshadow
