#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "analysis/calibration.h"
#include "analysis/measurements.h"
#include "analysis/retention.h"
#include "analysis/statistics.h"
#include "data/format/run_file.h"

namespace longshadow {

struct AnalyzeOptions {
  std::vector<DistanceBin> bins;  ///< empty: default_bins()
  double top_share = 0.2;         ///< of the subjects, in a top group
  std::int64_t n_sinks = 4;       ///< first tokens that are kept apart
  BootstrapOptions bootstrap;
};

/// A mean or median of influences, nats. `is_bound`: enough of what went into it lies under the
/// noise floor that the truth may be more than 5% smaller.
struct InfluenceEstimate {
  Estimate estimate;
  bool is_bound;
};

/// A group's influence in one bin. A subject counts once, with the mean of its values in
/// the bin; the interval is over subjects.
struct Cell {
  std::size_t n_subjects = 0;
  std::size_t n_values = 0;
  std::size_t n_below_floor = 0;
  InfluenceEstimate mean;
  InfluenceEstimate median;
};

struct GroupReport {
  std::string name;
  std::size_t n_subjects = 0;
  std::vector<Cell> cells;  ///< one for each bin
};

/// Spearman's correlation over subjects, sinks apart, of one signal with the influence in a bin.
struct Correlation {
  std::size_t n_subjects = 0;
  Estimate rank_correlation;
};

struct SignalReport {
  std::string name;
  std::vector<Correlation> correlations;  ///< one for each bin
};

/// One document, or all of them pooled.
struct SampleReport {
  std::string name;
  std::string conditions;      ///< how it was measured, one line; empty for the pool
  std::size_t n_subjects = 0;  ///< spans
  std::size_t n_missing = 0;   ///< subjects the run has no influence for
  double noise_floor = 0;      ///< nats, the largest over the horizon
  std::vector<GroupReport> groups;
  std::vector<SignalReport> signals;
  std::size_t n_sets = 0;
  std::vector<GroupReport> sets;  ///< one cell for each of Report::set_bins
  std::size_t near_bin = 0;       ///< as near_and_far() chooses them
  std::size_t far_bin = 0;
};

struct Report {
  RunModel model;
  /// With the bins that were used, clipped to the measured distances; none in a run of sets alone.
  AnalyzeOptions options;
  std::vector<DistanceBin> set_bins;    ///< of positions after the start; none without sets
  std::vector<SampleReport> documents;  ///< those with counterfactuals
  std::optional<SampleReport> pooled;   ///< where there is more than one of them
  std::vector<SketchReport> sketches;   ///< of the documents that have one
  std::optional<RetentionReport> retention;
};

/// Groups of each document: all subjects but the sinks; the top share of those by each of kSignals;
/// each group that the run recorded, where there are several; the sinks. Sets, tokens with others
/// between them, are in none of these: they are grouped by what the run recorded. The
/// pooled groups are unions over documents: a token is high or low among its own document's. Throws
/// std::invalid_argument where no bin holds a measured distance.
Report analyze(const RunFile& run, const AnalyzeOptions& options);

/// Aligned tables, about 100 columns wide.
void print_report(std::ostream& out, const Report& report);

/// The same numbers as JSON, UTF-8; NaN is null.
std::string report_json(const Report& report);

}  // namespace longshadow
