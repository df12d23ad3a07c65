#pragma once

#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "analysis/runs/run_directory.h"
#include "data/format/descriptor.h"
#include "data/format/journal.h"
#include "data/format/run_plan.h"
#include "probes/documents/document_tags.h"
#include "probes/runs/measurement.h"
#include "probes/runs/progress.h"

namespace longshadow {

/// Units of a shard where each measures so many positions: some 10 to 60 s of work of a small model
/// on a few cores. More would be lost to fewer tasks, fewer would be many files.
std::size_t shard_units_for(std::size_t horizon);

/// One of `count` equal parts of a run.
struct Share {
  std::size_t index = 0;
  std::size_t count = 1;
};

/// Where a run's units go as they are measured, and what there is already: a run directory. Any
/// number of processes may work in one, on shares of the run or on the same.
class RunStore {
 public:
  /// Makes the directory, or goes on in one with the same plan. Throws UsageError where the plan is
  /// another, naming a member of its configuration that differs, and FormatError. A store that is
  /// `alone` also throws where another such one is open.
  RunStore(const std::filesystem::path& folder, const RunPlan& plan, Share share, bool alone);

  const RunDirectory& directory() const { return directory_; }

  /// Whether a store that is alone can tell: the file system has locks.
  bool knows_it_is_alone() const { return lock_state_ == LockState::held; }

  /// Units of the run that are measured, those in journals too.
  std::size_t n_measured() const { return n_measured_; }

  /// Whether anything of our share of the document is missing.
  bool has_work(std::size_t document) const;
  bool has_work() const;

  /// The document's sketch where it is there already.
  std::optional<RunSketch> sketch(std::size_t document) const;

  /// Measures what is missing of our share of the document, shard by shard. Throws Interrupted
  /// between batches, when the batch before is safe.
  void measure(std::size_t document, Measurement& measurement, const DocumentTags& tags,
               ProgressStyle progress, std::ostream& log) const;

 private:
  /// What is ours of a document.
  struct Part {
    bool pass = false;
    std::size_t begin = 0;  ///< of its shards
    std::size_t end = 0;
  };

  std::vector<UnitRange> our_shards(std::size_t document, std::size_t n_units) const;
  /// Throws FormatError where one of these shards, or what the document's pass gave, is there and
  /// cannot be read: it would pass for measured.
  void check_files(std::size_t document, std::span<const UnitRange> ours) const;
  void measure_shard(std::size_t document, UnitRange units, Measurement& measurement,
                     UnitValues known, Progress& told, std::size_t& done) const;

  RunDirectory directory_;
  std::unique_ptr<Descriptor> lock_;
  LockState lock_state_ = LockState::unavailable;
  std::vector<Part> parts_;  ///< one a document
  std::size_t n_measured_ = 0;
};

}  // namespace longshadow
