#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "data/format/run_plan.h"
#include "probes/options/output_options.h"
#include "probes/runs/progress.h"
#include "probes/runs/run_store.h"

namespace longshadow {

/// Said where a run is interrupted. Not the shard in hand but the batch is finished then: that is
/// safe in its journal, and a batch system kills what does not end soon (Slurm after KillWait, 30
/// s).
inline constexpr const char* kGoOn = "; the same command goes on from what is saved";
inline constexpr const char* kGoOnWithText =
    "; the same command, given the same text on its pipe, goes on from what is saved";

/// Where a command's run goes: into one file, made of a run directory beside it (RUN.h5.parts) that
/// is removed at the end; or into a run directory that stays, where the output names one or a shard
/// of the run is asked for.
class RunOutput {
 public:
  /// Throws UsageError, and FormatError where nothing could be written there: before any work.
  explicit RunOutput(const OutputOptions& options);

  /// Whether no more than a plan is asked for: `out` is told what there is to measure.
  bool ends_with_plan(const RunPlan& plan, std::ostream& out) const;
  /// Whether the file is there and holds the run of this configuration, which `log` is told: an
  /// earlier process may have died just before it would have ended. Then nothing else is left.
  /// Throws FormatError where the file holds anything else.
  bool is_whole(const std::string& configuration_hash, ProgressStyle progress,
                std::ostream& log) const;
  /// The directory, and on `log` a line on what is in it already.
  RunStore open(const RunPlan& plan, ProgressStyle progress, std::ostream& log) const;
  /// Merges where one file is asked for; else says on `log` how far the run is.
  void finish(const RunStore& store, ProgressStyle progress, std::ostream& log) const;

 private:
  std::filesystem::path file_;  ///< empty where the directory stays
  std::filesystem::path folder_;
  Share share_;
  bool is_dry_run_;
};

}  // namespace longshadow
