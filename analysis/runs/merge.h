#pragma once

#include <filesystem>

#include "analysis/runs/run_directory.h"

namespace longshadow {

/// Writes what a run directory holds as one run file, a document at a time. The same run gives the
/// same bytes, whoever measured it. Throws FormatError, and writes nothing, where something is
/// missing, saying what, and where `output` exists.
void merge_run(const RunDirectory& directory, const std::filesystem::path& output);

}  // namespace longshadow
