#pragma once

#include <optional>
#include <string>

#include "probes/runs/run_store.h"

namespace longshadow {

class OptionSet;

/// Where the run of a command goes.
struct OutputOptions {
  std::string output;          ///< a file's path, or a run directory's
  std::optional<Share> shard;  ///< of the run, where not all is to be measured
  bool is_dry_run = false;

  /// Adds --output, --shard and --dry-run.
  void declare(OptionSet& options);
};

}  // namespace longshadow
