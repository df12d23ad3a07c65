#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analysis/statistics/samples.h"
#include "analysis/statistics/statistics.h"

namespace longshadow {

/// A mean or median of influences, nats. `is_bound`: enough of what went into it lies under the
/// noise floor that the truth may be more than 5% smaller.
struct InfluenceEstimate {
  Estimate estimate;
  bool is_bound;
};

/// A group's influence in one bin. A subject counts once, with the mean of its values in
/// the bin.
struct Cell {
  std::size_t n_subjects = 0;
  std::size_t n_values = 0;
  std::size_t n_below_floor = 0;
  InfluenceEstimate mean;
  InfluenceEstimate trimmed_mean;  ///< without the lowest and the highest tenth
  InfluenceEstimate median;
};

/// Makes a cell of subjects in a bin, one value each. Subjects without values are left out.
/// `document` says which each is from: intervals are over documents where these are drawn.
Cell make_cell(std::span<const BinnedInfluence> subjects, std::span<const std::uint32_t> document,
               bool draws_documents, const BootstrapOptions& options);

struct GroupReport {
  std::string name;
  std::size_t n_subjects = 0;
  std::vector<Cell> cells;  ///< one for each bin
};

/// One signal with the influence in a bin, over the subjects of the population.
struct Correlation {
  std::size_t n_subjects = 0;
  Estimate rank_correlation;  ///< Spearman's
  Estimate partial;           ///< the same given the subject's position (statistics.h)
};

struct SignalReport {
  std::string name;
  std::vector<Correlation> correlations;  ///< one for each bin
};

/// Makes a report for each of `groups` of the sample, in `n_bins` bins.
std::vector<GroupReport> report_groups(const Sample& sample, const std::vector<Group>& groups,
                                       std::size_t n_bins, const BootstrapOptions& options);

/// Groups the sample's sets by what the run recorded; bins count positions from the start on.
std::vector<GroupReport> report_sets(const Sample& sample, std::size_t n_bins,
                                     const BootstrapOptions& options);

/// Makes a report for each of kSignals.
std::vector<SignalReport> report_signals(const Sample& sample, std::size_t n_bins,
                                         const BootstrapOptions& options);

}  // namespace longshadow
