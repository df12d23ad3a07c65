#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/format/run_file.h"

namespace longshadow {

// A run directory holds a run while it is measured, and on a cluster the work of all its tasks. Its
// files are immutable but for journals:
//   plan.h5                         what is to be measured (RunPlan); there before all else
//   HASH-d0003.h5                   of document 3 all that its full pass gives: tokens, signals, a
//                                   sketch, which subjects there are; nothing of their influence
//   HASH-d0003-u000064-000128.h5    a shard: the values of its units 64 to 127
//   journals/HASH-d0003-u000064-000128.HOST.PID
//                                   of a shard in hand, what a process has measured of it (Journal)
// HASH is the beginning of the configuration hash.

/// Units [begin, end) of a document. A unit is what is measured alone: a subject's counterfactual,
/// or a policy's compressed cache at one budget.
struct UnitRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  std::size_t size() const { return end - begin; }
  friend bool operator==(const UnitRange&, const UnitRange&) = default;
};

struct PlannedDocument {
  std::string name;
  std::string source_sha256;
  /// 0 where its pass gives all; empty where its pass has to be read first.
  std::optional<std::size_t> n_units;
};

/// What a run is to measure, and how that is divided into shards: by the configuration alone, so
/// that the same shards come out of any number of processes on any machine.
struct RunPlan {
  RunFile run;                ///< without documents
  std::string unit_name;      ///< in the plural: "subjects"
  std::size_t unit_values{};  ///< numbers that a unit gives, in a journal
  std::size_t shard_units{};  ///< units of every shard but a document's last
  std::vector<PlannedDocument> documents;

  /// The shards of a document of `n_units`.
  std::vector<UnitRange> shards(std::size_t n_units) const;

  std::filesystem::path pass_path(const std::filesystem::path& folder, std::size_t document) const;
  std::filesystem::path shard_path(const std::filesystem::path& folder, std::size_t document,
                                   UnitRange units) const;
};

inline constexpr const char* kPlanName = "plan.h5";

/// The write_ functions publish one file into the run directory `folder` each; where another
/// process was first with the same bytes, that is as well. They throw FormatError where it has
/// others, where a field's size disagrees with the others', and where the disk refuses.
void write_plan(const std::filesystem::path& folder, const RunPlan& plan);

/// `pass` has what the document's full pass gives; of its influence `kl` and `rerouted` are empty.
void write_pass(const std::filesystem::path& folder, const RunPlan& plan, std::size_t document,
                const DocumentRun& pass);

/// `values` has the values of these units: rows of influence.kl and .rerouted, or retention.
void write_shard(const std::filesystem::path& folder, const RunPlan& plan, std::size_t document,
                 UnitRange units, const DocumentRun& values);

}  // namespace longshadow
