#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "analysis/runs/run_reader.h"
#include "data/format/run_file.h"
#include "data/format/run_plan.h"

namespace longshadow {

/// A run directory (data/format/run_plan.h) as far as it has been measured. Only what is published
/// is read, never a journal. Like a run file it may come from a stranger.
class RunDirectory {
 public:
  /// Reads the plan. Throws FormatError where there is none, or not as it should be.
  explicit RunDirectory(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const RunPlan& plan() const { return plan_; }

  bool has_pass(std::size_t document) const;
  bool has_shard(std::size_t document, UnitRange units) const;
  /// Units of the document, 0 as long as nobody can know.
  std::size_t n_units(std::size_t document) const;

  /// Reads a document's full pass: `kl` of its influence is empty, and no policy is measured.
  /// The functions that read throw FormatError where a file is missing or not as it should be, or
  /// belongs to another configuration.
  DocumentRun read_pass(std::size_t document,
                        Projections projections = Projections::left_out) const;
  /// Puts the values of a shard where they belong in what read_pass() gave: in rows of its `kl`,
  /// which must be [S, H] by then, or behind its retention.
  void read_shard(std::size_t document, UnitRange units, DocumentRun& run) const;
  /// Reads its pass and those of the shards that are there, to see whether they can be read.
  void check_document(std::size_t document, std::span<const UnitRange> shards) const;
  /// Reads the document with all that is measured. It is `complete` where that is all there is to
  /// measure, else the rows of kl that are missing are NaN.
  DocumentRun read_document(std::size_t document, Projections projections) const;

 private:
  /// Reads the pass, and makes room for values that no shard has given yet: NaN.
  DocumentRun begin_document(std::size_t document, Projections projections) const;

  std::filesystem::path folder_;
  RunPlan plan_;
};

/// How much of a run is measured.
struct MeasuredShare {
  std::size_t done = 0;
  std::size_t total = 0;          ///< of the documents whose units are known
  std::size_t unread = 0;         ///< documents whose full pass is missing
  std::vector<std::string> gaps;  ///< what is missing, piece by piece: "a.txt, subjects 64-127"

  bool complete() const { return gaps.empty(); }
};

MeasuredShare measured_share(const RunDirectory& directory);

/// Describes the share: "run/: 37 of 64 subjects are measured (58%)".
std::string describe(const MeasuredShare& share, const RunDirectory& directory);

/// Describes the measured share of `path` as it is now, with a line's end. Empty for a run file.
std::string measured_share_of(const std::filesystem::path& path);

}  // namespace longshadow
