#include "analysis/analyze.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace longshadow {

namespace {

/// Indices into a sample's subjects.
using Members = std::vector<std::size_t>;

struct Group {
  std::string name;
  Members members;
};

/// A document's spans, or all documents', with the groups they are in; and the sets.
struct Sample {
  std::vector<MeasuredSubject> subjects;
  std::vector<Group> groups;
  std::vector<MeasuredSet> sets;
};

constexpr const char* kAll = "all";
constexpr const char* kSinks = "sinks";

/// The `share` of `candidates` with the highest value of signal k, at least one; among equals the
/// earlier in the document. Subjects without the signal are never among them.
Members top_by_signal(const std::vector<MeasuredSubject>& subjects, const Members& candidates,
                      std::size_t k, double share) {
  Members top;
  for (const std::size_t s : candidates) {
    if (!std::isnan(subjects[s].signals[k])) top.push_back(s);
  }
  std::stable_sort(top.begin(), top.end(), [&](std::size_t a, std::size_t b) {
    return subjects[a].signals[k] > subjects[b].signals[k];
  });
  const auto wanted =
      static_cast<std::size_t>(std::lround(share * static_cast<double>(candidates.size())));
  top.resize(std::min(top.size(), std::max<std::size_t>(1, wanted)));
  return top;
}

std::vector<Group> make_groups(const std::vector<MeasuredSubject>& subjects, double top_share) {
  Group all{kAll, {}};
  Group sinks{kSinks, {}};
  std::set<std::string> recorded;
  for (std::size_t s = 0; s < subjects.size(); ++s) {
    (subjects[s].is_sink ? sinks : all).members.push_back(s);
    recorded.insert(subjects[s].group);
  }
  std::vector<Group> groups = {all};
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    groups.push_back({std::string("top ") + kSignals[k].name,
                      top_by_signal(subjects, all.members, k, top_share)});
  }
  for (const std::string& name : recorded) {
    if (recorded.size() < 2) break;
    Group chosen{"chosen: " + name, {}};
    std::copy_if(all.members.begin(), all.members.end(), std::back_inserter(chosen.members),
                 [&](std::size_t s) { return subjects[s].group == name; });
    groups.push_back(chosen);
  }
  groups.push_back(sinks);
  return groups;
}

/// Adds a document's subjects, groups and sets to the pool.
void pool(Sample& pooled, const Sample& document) {
  const std::size_t offset = pooled.subjects.size();
  pooled.subjects.insert(pooled.subjects.end(), document.subjects.begin(), document.subjects.end());
  pooled.sets.insert(pooled.sets.end(), document.sets.begin(), document.sets.end());
  for (const Group& group : document.groups) {
    auto same = std::find_if(pooled.groups.begin(), pooled.groups.end(),
                             [&](const Group& other) { return other.name == group.name; });
    if (same == pooled.groups.end()) same = pooled.groups.insert(same, {group.name, {}});
    for (const std::size_t s : group.members) same->members.push_back(offset + s);
  }
}

template <typename Statistic, typename Bootstrap>
InfluenceEstimate estimate_influence(const std::vector<double>& lower,
                                     const std::vector<double>& upper, const Statistic& statistic,
                                     const Bootstrap& bootstrap, const BootstrapOptions& options) {
  const Estimate estimate = bootstrap(upper, options);
  return {estimate, !lower.empty() && statistic(lower) < 0.95 * estimate.value};
}

Cell make_cell(const std::vector<const BinnedInfluence*>& influences,
               const BootstrapOptions& options) {
  Cell cell{};
  std::vector<double> lower;
  std::vector<double> upper;
  for (const BinnedInfluence* const binned : influences) {
    if (binned->n_values == 0) continue;
    cell.n_values += binned->n_values;
    cell.n_below_floor += binned->n_below_floor;
    lower.push_back(binned->lower_mean);
    upper.push_back(binned->upper_mean);
  }
  cell.n_subjects = upper.size();
  cell.mean = estimate_influence(lower, upper, mean, bootstrap_mean, options);
  cell.median = estimate_influence(lower, upper, median, bootstrap_median, options);
  return cell;
}

/// The members' cells, one for each of `n_bins`. Subjects are whatever has bins.
template <typename Subject>
GroupReport report_group(const std::string& name, const std::vector<Subject>& subjects,
                         const Members& members, std::size_t n_bins,
                         const BootstrapOptions& options) {
  GroupReport report{name, members.size(), {}};
  for (std::size_t bin = 0; bin < n_bins; ++bin) {
    std::vector<const BinnedInfluence*> influences;
    for (const std::size_t s : members) influences.push_back(&subjects[s].bins[bin]);
    report.cells.push_back(make_cell(influences, options));
  }
  return report;
}

std::vector<GroupReport> report_sets(const std::vector<MeasuredSet>& sets, std::size_t n_bins,
                                     const BootstrapOptions& options) {
  std::map<std::string, Members> groups;
  for (std::size_t s = 0; s < sets.size(); ++s) groups[sets[s].group].push_back(s);
  std::vector<GroupReport> reports;
  for (const auto& [name, members] : groups) {
    reports.push_back(report_group(name, sets, members, n_bins, options));
  }
  return reports;
}

Correlation correlate(const std::vector<MeasuredSubject>& subjects, const Members& members,
                      std::size_t k, std::size_t bin, const BootstrapOptions& options) {
  std::vector<double> signal;
  std::vector<double> influence;
  for (const std::size_t s : members) {
    const BinnedInfluence& binned = subjects[s].bins[bin];
    if (binned.n_values == 0 || std::isnan(subjects[s].signals[k])) continue;
    signal.push_back(subjects[s].signals[k]);
    // Subjects that are wholly under the floor are tied: their order would be noise.
    const bool unknown = binned.n_below_floor == binned.n_values;
    influence.push_back(unknown ? 0.0 : binned.upper_mean);
  }
  return {signal.size(), bootstrap_spearman(signal, influence, options)};
}

/// Sets the bins that "near" and "far" stand for.
void choose_near_and_far(SampleReport& report) {
  std::vector<std::size_t> n_subjects;
  for (const Cell& cell : report.groups.front().cells) n_subjects.push_back(cell.n_subjects);
  if (n_subjects.empty()) return;
  const NearAndFar chosen = near_and_far(n_subjects);
  report.near_bin = chosen.near;
  report.far_bin = chosen.far;
}

SampleReport report_sample(const Sample& sample, const AnalyzeOptions& options,
                           std::size_t n_set_bins) {
  SampleReport report;
  report.n_subjects = sample.subjects.size();
  report.n_sets = sample.sets.size();
  for (const Group& group : sample.groups) {
    report.groups.push_back(report_group(group.name, sample.subjects, group.members,
                                         options.bins.size(), options.bootstrap));
  }
  report.sets = report_sets(sample.sets, n_set_bins, options.bootstrap);
  const Members& all = sample.groups.front().members;
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    SignalReport& signal = report.signals.emplace_back();
    signal.name = kSignals[k].name;
    for (std::size_t bin = 0; bin < options.bins.size(); ++bin) {
      signal.correlations.push_back(correlate(sample.subjects, all, k, bin, options.bootstrap));
    }
  }
  choose_near_and_far(report);
  return report;
}

double largest_floor(const RunInfluence& influence) {
  return *std::max_element(influence.noise_floor.begin(), influence.noise_floor.end());
}

std::string describe_conditions(const DocumentRun& document) {
  const RunInfluence& influence = document.influence;
  const bool at_end = influence.evict_at == "end";
  const bool everywhere = influence.layers == "all" && influence.heads == "all";
  const std::string where =
      everywhere ? "" : " from layers " + influence.layers + ", KV heads " + influence.heads;
  return "context " + std::to_string(document.context_tokens) + ", horizon " +
         std::to_string(influence.noise_floor.size()) + ", subjects " + influence.selection +
         ", evicted at " + influence.evict_at +
         (at_end ? "" : ":" + std::to_string(influence.lag)) + where + ", " + influence.method +
         " " + influence.precision;
}

/// [0, 16), ... as far as the longest horizon of a document with sets.
std::vector<DistanceBin> set_bins_of(const std::vector<const DocumentRun*>& documents) {
  DistanceBin positions{0, 0};
  for (const DocumentRun* document : documents) {
    const RunInfluence& influence = document->influence;
    const bool has_sets = std::any_of(influence.subjects.begin(), influence.subjects.end(),
                                      [](const RunSubject& one) { return one.is_set(); });
    const auto horizon = static_cast<std::int64_t>(influence.noise_floor.size());
    if (has_sets) positions.end = std::max(positions.end, horizon);
  }
  return positions.end == 0 ? std::vector<DistanceBin>{}
                            : clip_bins(default_bins(positions), positions);
}

}  // namespace

namespace {

/// Fills in what the counterfactuals of `documents` say.
void report_influence(const std::vector<const DocumentRun*>& documents, Report& report) {
  AnalyzeOptions& options = report.options;
  report.set_bins = set_bins_of(documents);
  const DistanceBin measured = measured_distances(documents);
  const bool has_spans = measured.begin < measured.end;
  const std::vector<DistanceBin> wanted = std::exchange(options.bins, {});
  if (has_spans)
    options.bins = clip_bins(wanted.empty() ? default_bins(measured) : wanted, measured);

  Sample pooled;
  double floor = 0;
  std::size_t n_missing = 0;
  for (const DocumentRun* document : documents) {
    Sample sample;
    sample.subjects = measure(*document, options.bins, options.n_sinks);
    sample.sets = measure_sets(*document, report.set_bins);
    sample.groups = make_groups(sample.subjects, options.top_share);
    SampleReport& single =
        report.documents.emplace_back(report_sample(sample, options, report.set_bins.size()));
    single.name = document->name;
    single.conditions = describe_conditions(*document);
    single.n_missing = document->influence.subjects.size() - single.n_subjects - single.n_sets;
    single.noise_floor = largest_floor(document->influence);
    floor = std::max(floor, single.noise_floor);
    n_missing += single.n_missing;
    pool(pooled, sample);
  }
  if (documents.size() > 1) {
    report.pooled = report_sample(pooled, options, report.set_bins.size());
    report.pooled->name = "all " + std::to_string(documents.size()) + " documents";
    report.pooled->noise_floor = floor;
    report.pooled->n_missing = n_missing;
  }
}

}  // namespace

Report analyze(const RunFile& run, const AnalyzeOptions& options) {
  Report report{run.model, options, {}, {}, std::nullopt, {}, std::nullopt};
  std::vector<const DocumentRun*> measured;
  for (const DocumentRun& document : run.documents) {
    if (!document.influence.subjects.empty()) measured.push_back(&document);
    if (document.sketch) {
      report.sketches.push_back(calibrate(document, options.n_sinks, options.bootstrap));
    }
  }
  if (!measured.empty()) report_influence(measured, report);
  report.retention = analyze_retention(run, options.bootstrap);
  return report;
}

}  // namespace longshadow
