#include "analysis/results/influence_report.h"

#include <cmath>
#include <cstdint>
#include <map>

namespace longshadow {

namespace {

/// The values of a cell, one for each subject that reaches its bin.
struct CellValues {
  std::vector<double> lower;  ///< nats, a value under the floor as 0
  std::vector<double> upper;  ///< nats, a value under the floor as the floor
};

template <typename Statistic, typename Bootstrap>
InfluenceEstimate estimate_influence(const CellValues& values, Clusters clusters,
                                     const Statistic& statistic, const Bootstrap& bootstrap,
                                     const BootstrapOptions& options) {
  const Estimate estimate = bootstrap(values.upper, options, clusters);
  return {estimate, !values.lower.empty() && statistic(values.lower) < 0.95 * estimate.value};
}

/// Makes a cell of these members of `subjects`. `document` says which each subject is from.
template <typename Subject>
Cell make_cell(const Sample& sample, const std::vector<Subject>& subjects,
               const std::vector<std::uint32_t>& document, const Members& members, std::size_t bin,
               const BootstrapOptions& options) {
  std::vector<BinnedInfluence> binned;
  std::vector<std::uint32_t> of_members;
  for (const std::size_t s : members) {
    binned.push_back(subjects[s].bins[bin]);
    of_members.push_back(document[s]);
  }
  return make_cell(binned, of_members, sample.n_documents >= kFewestForInterval, options);
}

Correlation correlate(const Sample& sample, std::size_t k, std::size_t bin,
                      const BootstrapOptions& options) {
  std::vector<double> signal;
  std::vector<double> influence;
  std::vector<double> position;
  std::vector<std::uint32_t> document;
  for (const std::size_t s : sample.population) {
    const MeasuredSubject& subject = sample.subjects[s];
    const double nats = subject.bins[bin].to_rank();
    if (std::isnan(nats) || std::isnan(subject.signals[k])) continue;
    signal.push_back(subject.signals[k]);
    influence.push_back(nats);
    position.push_back(subject.position);
    document.push_back(sample.document[s]);
  }
  const Clusters clusters = clusters_of(sample, document);
  return {signal.size(), bootstrap_spearman(signal, influence, options, clusters),
          bootstrap_partial_spearman(signal, influence, position, options, clusters)};
}

}  // namespace

Cell make_cell(std::span<const BinnedInfluence> subjects, std::span<const std::uint32_t> document,
               bool draws_documents, const BootstrapOptions& options) {
  Cell cell{};
  CellValues values;
  std::vector<std::uint32_t> drawn;
  for (std::size_t s = 0; s < subjects.size(); ++s) {
    if (subjects[s].n_values == 0) continue;
    cell.n_values += subjects[s].n_values;
    cell.n_below_floor += subjects[s].n_below_floor;
    values.lower.push_back(subjects[s].lower_mean);
    values.upper.push_back(subjects[s].upper_mean);
    if (draws_documents) drawn.push_back(document[s]);
  }
  cell.n_subjects = values.upper.size();
  cell.mean = estimate_influence(values, drawn, mean, bootstrap_mean, options);
  cell.trimmed_mean =
      estimate_influence(values, drawn, trimmed_mean, bootstrap_trimmed_mean, options);
  cell.median = estimate_influence(values, drawn, median, bootstrap_median, options);
  return cell;
}

std::vector<GroupReport> report_groups(const Sample& sample, const std::vector<Group>& groups,
                                       std::size_t n_bins, const BootstrapOptions& options) {
  std::vector<GroupReport> reports;
  for (const Group& group : groups) {
    GroupReport& report = reports.emplace_back(GroupReport{group.name, group.members.size(), {}});
    for (std::size_t bin = 0; bin < n_bins; ++bin) {
      report.cells.push_back(
          make_cell(sample, sample.subjects, sample.document, group.members, bin, options));
    }
  }
  return reports;
}

std::vector<GroupReport> report_sets(const Sample& sample, std::size_t n_bins,
                                     const BootstrapOptions& options) {
  std::map<std::string, Members> groups;
  for (std::size_t s = 0; s < sample.sets.size(); ++s) groups[sample.sets[s].group].push_back(s);
  std::vector<GroupReport> reports;
  for (const auto& [name, members] : groups) {
    GroupReport& report = reports.emplace_back(GroupReport{name, members.size(), {}});
    for (std::size_t bin = 0; bin < n_bins; ++bin) {
      report.cells.push_back(
          make_cell(sample, sample.sets, sample.set_document, members, bin, options));
    }
  }
  return reports;
}

std::vector<SignalReport> report_signals(const Sample& sample, std::size_t n_bins,
                                         const BootstrapOptions& options) {
  std::vector<SignalReport> reports;
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    SignalReport& report = reports.emplace_back(SignalReport{kSignals[k].name, {}});
    for (std::size_t bin = 0; bin < n_bins; ++bin) {
      report.correlations.push_back(correlate(sample, k, bin, options));
    }
  }
  return reports;
}

}  // namespace longshadow
