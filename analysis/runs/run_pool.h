#pragma once

#include <string>
#include <vector>

#include "data/format/run_file.h"

namespace longshadow {

/// A run and where it is from.
struct NamedRun {
  std::string path;  ///< to name it in errors
  RunFile run;
};

/// Joins runs into one of all documents, in the order given. Throws std::invalid_argument naming
/// two files and what differs where their influences cannot be pooled: they are of one model only
/// if the weights are the same, and of one kind only if context, horizon, eviction, layers and
/// heads are; a text that comes twice would count twice.
RunFile pool_runs(std::vector<NamedRun> runs);

}  // namespace longshadow
