#include "analysis/results/analyze.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "data/format/schema.h"

namespace longshadow {

namespace {

/// Sets the bins that "near" and "far" stand for.
void choose_near_and_far(SampleReport& report) {
  std::vector<std::size_t> n_subjects;
  for (const Cell& cell : report.groups.front().cells) n_subjects.push_back(cell.n_subjects);
  if (n_subjects.empty()) return;
  const NearAndFar chosen = near_and_far(n_subjects);
  report.near_bin = chosen.near;
  report.far_bin = chosen.far;
}

/// `documents` are the samples that `sample` pools, or itself.
SampleReport report_sample(const Sample& sample, const std::vector<const Sample*>& documents,
                           const Analysis& whole) {
  const BootstrapOptions& bootstrap = whole.options.bootstrap;
  const std::size_t n_bins = whole.options.bins.size();
  SampleReport report;
  report.n_documents = sample.n_documents;
  report.n_subjects = sample.subjects.size();
  report.n_population = sample.population.size();
  report.draws_documents = sample.n_documents >= kFewestForInterval;
  report.n_sets = sample.sets.size();
  report.groups = report_groups(sample, sample.groups, n_bins, bootstrap);
  report.quarters = report_groups(sample, sample.quarters, n_bins, bootstrap);
  report.parts_of_speech = report_groups(sample, sample.parts_of_speech, n_bins, bootstrap);
  report.signals = report_signals(sample, n_bins, bootstrap);
  report.sets = report_sets(sample, whole.set_bins.size(), bootstrap);
  report.entropy = report_entropy(sample, bootstrap);
  choose_near_and_far(report);
  if (n_bins > 0) {
    const ClaimPlaces where{whole.attention == kAttentionWindow, {report.near_bin, report.far_bin}};
    report.claims = test_claims(documents, where, whole.attention, bootstrap);
  }
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

/// The signal for attention that the cache's owner can know when tokens leave, as an index of
/// kSignals.
std::size_t attention_known_at(const RunInfluence& influence) {
  return influence.evict_at == schema::kEvictAtEnd ? kAttentionWindow : kAttentionCumulative;
}

/// Chunks, or [0, 16), ..., as far as the longest horizon of a document with sets.
std::vector<DistanceBin> set_bins_of(const std::vector<const DocumentRun*>& documents,
                                     std::int64_t chunk) {
  DistanceBin positions{0, 0};
  for (const DocumentRun* document : documents) {
    const RunInfluence& influence = document->influence;
    const bool has_sets = std::any_of(influence.subjects.begin(), influence.subjects.end(),
                                      [](const RunSubject& one) { return one.is_set(); });
    const auto horizon = static_cast<std::int64_t>(influence.noise_floor.size());
    if (has_sets) positions.end = std::max(positions.end, horizon);
  }
  if (chunk > 0) return equal_bins(chunk, positions.end);
  return positions.end == 0 ? std::vector<DistanceBin>{}
                            : clip_bins(default_bins(positions), positions);
}

/// Fills in what the counterfactuals of `documents` say.
void report_influence(const std::vector<const DocumentRun*>& documents, Analysis& report) {
  AnalyzeOptions& options = report.options;
  report.set_bins = set_bins_of(documents, options.chunk);
  report.attention = attention_known_at(documents.front()->influence);
  const DistanceBin measured = measured_distances(documents);
  const bool has_spans = measured.begin < measured.end;
  const std::vector<DistanceBin> wanted = std::exchange(options.bins, {});
  if (has_spans)
    options.bins = clip_bins(wanted.empty() ? default_bins(measured) : wanted, measured);

  std::vector<Sample> samples;
  std::vector<const Sample*> all;
  for (const DocumentRun* document : documents) {
    samples.push_back(make_sample(*document, options.bins, report.set_bins, options.sample));
  }
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const DocumentRun& document = *documents[d];
    all.push_back(&samples[d]);
    SampleReport single = report_sample(samples[d], {&samples[d]}, report);
    single.name = document.name;
    single.conditions = describe_conditions(document);
    single.n_missing = document.influence.subjects.size() - single.n_subjects - single.n_sets;
    single.noise_floor = largest_floor(document.influence);
    report.documents.push_back(std::move(single));
  }
  if (documents.size() < 2) return;
  report.pooled = report_sample(pool(samples), all, report);
  report.pooled->name = "all " + std::to_string(documents.size()) + " documents";
  for (const SampleReport& single : report.documents) {
    report.pooled->noise_floor = std::max(report.pooled->noise_floor, single.noise_floor);
    report.pooled->n_missing += single.n_missing;
  }
}

}  // namespace

Analysis analyze(const RunFile& run, const AnalyzeOptions& options) {
  Analysis report;
  report.model = run.model;
  report.options = options;
  std::vector<const DocumentRun*> measured;
  for (const DocumentRun& document : run.documents) {
    if (!document.influence.subjects.empty()) measured.push_back(&document);
    if (document.sketch) {
      report.sketches.push_back(calibrate(document, options.sample.n_sinks, options.bootstrap));
    }
  }
  if (!measured.empty()) report_influence(measured, report);
  if (options.chunk > 0 && report.set_bins.empty()) {
    throw std::invalid_argument("chunks: expected tokens that were removed as a set, found none");
  }
  report.sentences = report_sentences(run.documents, options.sample.n_sinks, options.bootstrap);
  report.retention = analyze_retention(run, options.bootstrap);
  return report;
}

}  // namespace longshadow
