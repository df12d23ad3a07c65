#include "analysis/results/calibration.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/format/schema.h"

namespace longshadow {

namespace {

constexpr std::size_t kTop = 16;
constexpr std::size_t kTopOfSketch = 24;
constexpr std::size_t kWorst = 5;
constexpr std::int32_t kRecent = 64;
constexpr double kMuchAttention = 0.25;

/// A token that has both.
struct Pair {
  std::int32_t token;
  std::string group;
  double exact;
  double sketch;

  double off() const { return std::abs(std::log(sketch / exact)); }
};

/// Mean of subject s's influence over offsets [begin, end), NaN where some are not measured.
double exact_mean(const RunInfluence& influence, std::size_t s, const DistanceBin& offsets) {
  const std::size_t horizon = influence.noise_floor.size();
  if (static_cast<std::size_t>(offsets.end) > horizon) return std::nan("");
  const double* kl = influence.kl.data() + s * horizon;
  return std::accumulate(kl + offsets.begin, kl + offsets.end, 0.0) /
         static_cast<double>(offsets.end - offsets.begin);
}

/// Those of the subjects that the sketch speaks of, where both are above 0.
std::vector<Pair> pairs_of(const DocumentRun& document, std::size_t bin,
                           const DistanceBin& offsets) {
  const RunInfluence& influence = document.influence;
  const float* fi =
      document.sketch->fi.data() + bin * static_cast<std::size_t>(document.context_tokens);
  std::vector<Pair> pairs;
  const bool everywhere =
      influence.layers == schema::kEverywhere && influence.heads == schema::kEverywhere;
  if (!everywhere) return pairs;
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    const RunSubject& subject = influence.subjects[s];
    if (subject.end != subject.begin + 1 || influence.start[s] != document.context_tokens) continue;
    const double exact = exact_mean(influence, s, offsets);
    const auto sketch = static_cast<double>(fi[subject.begin]);
    if (exact > 0 && sketch > 0) pairs.push_back({subject.begin, subject.group, exact, sketch});
  }
  return pairs;
}

/// Indices of the `count` highest values.
std::vector<std::size_t> highest(const std::vector<double>& values, std::size_t count) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  order.resize(std::min(count, order.size()));
  return order;
}

void compare_control(const std::vector<Pair>& pairs, const BootstrapOptions& bootstrap,
                     CalibrationBin& bin) {
  std::vector<double> exact;
  std::vector<double> sketch;
  std::vector<double> ratio;
  for (const Pair& pair : pairs) {
    if (pair.group != schema::kControlGroup) continue;
    exact.push_back(pair.exact);
    sketch.push_back(pair.sketch);
    ratio.push_back(pair.sketch / pair.exact);
  }
  bin.n_control = exact.size();
  bin.ratio = bootstrap_median(ratio, bootstrap);
  bin.rank_correlation = bootstrap_spearman(sketch, exact, bootstrap);
  const std::vector<std::size_t> truly = highest(exact, kTop);
  const std::vector<std::size_t> by_sketch = highest(sketch, kTopOfSketch);
  bin.n_top = truly.size();
  bin.n_top_found =
      static_cast<std::size_t>(std::count_if(truly.begin(), truly.end(), [&](std::size_t i) {
        return std::find(by_sketch.begin(), by_sketch.end(), i) != by_sketch.end();
      }));
}

/// Over layers and KV heads.
double largest_attention(const DocumentRun& document, std::int32_t token) {
  const std::size_t n = document.tokens.id.size();
  float largest = 0;
  for (std::size_t i = static_cast<std::size_t>(token);
       i < document.signals.attention_window.size(); i += n) {
    largest = std::max(largest, document.signals.attention_window[i]);
  }
  return static_cast<double>(largest);
}

std::string reason_of(const DocumentRun& document, const Pair& pair, double attention,
                      std::int64_t n_sinks) {
  // A mean of K squares of normal values has a relative standard error of sqrt(2 / K).
  const auto n_probes = static_cast<double>(document.sketch->probes);
  if (pair.off() <= 3 * std::sqrt(2 / n_probes)) return "chance";
  if (pair.token < n_sinks) return "sink";
  if (pair.token >= document.context_tokens - kRecent) return "recent";
  return attention >= kMuchAttention ? "attention" : "";
}

std::vector<MisjudgedToken> worst_of(const DocumentRun& document, std::vector<Pair> pairs,
                                     std::int64_t n_sinks) {
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.off() > b.off(); });
  pairs.resize(std::min(pairs.size(), kWorst));
  std::vector<MisjudgedToken> worst;
  for (const Pair& pair : pairs) {
    const double attention = largest_attention(document, pair.token);
    worst.push_back({pair.token, document.tokens.text[static_cast<std::size_t>(pair.token)],
                     pair.group, pair.exact, pair.sketch, attention,
                     reason_of(document, pair, attention, n_sinks)});
  }
  return worst;
}

double median_relative_error(const RunSketch& sketch, std::size_t bin, std::size_t n_tokens) {
  std::vector<double> errors;
  for (std::size_t i = bin * n_tokens; i < (bin + 1) * n_tokens; ++i) {
    if (sketch.fi[i] > 0) {
      errors.push_back(static_cast<double>(sketch.standard_error[i] / sketch.fi[i]));
    }
  }
  return errors.empty() ? std::nan("") : median(errors);
}

}  // namespace

SketchReport calibrate(const DocumentRun& document, std::int64_t n_sinks,
                       const BootstrapOptions& bootstrap) {
  const RunSketch& sketch = *document.sketch;
  SketchReport report;
  report.name = document.name;
  report.n_tokens = static_cast<std::size_t>(document.context_tokens);
  report.conditions = "context " + std::to_string(document.context_tokens) + ", future " +
                      std::to_string(document.future_tokens) + ", " +
                      std::to_string(sketch.probes) + " probes a bin (" + sketch.probe_kind +
                      "), seed " + std::to_string(sketch.seed);
  for (std::size_t b = 0; b < sketch.bins.size(); ++b) {
    CalibrationBin& bin = report.bins.emplace_back();
    bin.offsets = {sketch.bins[b][0], sketch.bins[b][1]};
    bin.relative_standard_error = median_relative_error(sketch, b, report.n_tokens);
    const std::vector<Pair> pairs = pairs_of(document, b, bin.offsets);
    report.n_measured = std::max(report.n_measured, pairs.size());
    compare_control(pairs, bootstrap, bin);
    bin.worst = worst_of(document, pairs, n_sinks);
  }
  return report;
}

}  // namespace longshadow
