#include "analysis/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace longshadow {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// How often each of n samples occurs in one draw with replacement. A statistic of the draw is then
/// a weighted statistic of the sample, which needs no copying and no sorting.
using Counts = std::vector<std::uint32_t>;

void draw(std::mt19937& random, Counts& counts) {
  std::fill(counts.begin(), counts.end(), 0);
  const std::uint64_t n = counts.size();
  for (std::uint64_t i = 0; i < n; ++i) {
    // Multiply and shift: uniform up to n / 2^32, and the same on every machine, which the standard
    // library's distributions are not.
    ++counts[(static_cast<std::uint64_t>(random()) * n) >> 32];
  }
}

std::vector<std::size_t> ascending_order(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  return order;
}

/// Linear interpolation between the two nearest of the sorted values.
double quantile(std::span<const double> sorted, double probability) {
  const double at = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double fraction = at - static_cast<double>(below);
  return sorted[below] + fraction * (sorted[above] - sorted[below]);
}

/// `statistic` maps Counts to a double, NaN where a draw allows none.
template <typename Statistic>
Estimate bootstrap(std::size_t n, const BootstrapOptions& options, const Statistic& statistic) {
  Counts counts(n, 1);
  Estimate estimate{statistic(counts), kNaN, kNaN};
  if (n < kFewestForInterval || std::isnan(estimate.value)) return estimate;
  std::mt19937 random(options.seed);
  std::vector<double> replicates;
  for (std::size_t r = 0; r < options.replicates; ++r) {
    draw(random, counts);
    const double value = statistic(counts);
    if (!std::isnan(value)) replicates.push_back(value);
  }
  if (replicates.empty()) return estimate;
  std::sort(replicates.begin(), replicates.end());
  estimate.low = quantile(replicates, 0.025);
  estimate.high = quantile(replicates, 0.975);
  return estimate;
}

/// The median of values that occur `counts` times each, `order` being their ascending order.
double weighted_median(std::span<const double> values, std::span<const std::size_t> order,
                       const Counts& counts) {
  const std::uint64_t n = counts.size();
  std::uint64_t seen = 0;
  std::size_t lower = 0;
  bool have_lower = false;
  for (const std::size_t i : order) {
    seen += counts[i];
    if (!have_lower && seen >= (n + 1) / 2) {
      lower = i;
      have_lower = true;
    }
    if (seen >= n / 2 + 1) return 0.5 * (values[lower] + values[i]);
  }
  return kNaN;
}

/// Ranks, centred on their mean, of values that occur `counts` times each.
void weighted_ranks(std::span<const double> values, std::span<const std::size_t> order,
                    const Counts& counts, std::vector<double>& ranks) {
  const double centre = 0.5 * (static_cast<double>(counts.size()) + 1.0);
  double before = 0;
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    double tied = 0;
    for (; last < order.size() && values[order[last]] == values[order[first]]; ++last) {
      tied += counts[order[last]];
    }
    for (; first < last; ++first) ranks[order[first]] = before + 0.5 * (tied + 1.0) - centre;
    before += tied;
  }
}

double weighted_correlation(std::span<const double> x, std::span<const double> y,
                            const Counts& counts) {
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    xx += counts[i] * x[i] * x[i];
    yy += counts[i] * y[i] * y[i];
    xy += counts[i] * x[i] * y[i];
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : kNaN;
}

}  // namespace

Estimate bootstrap_mean(std::span<const double> values, const BootstrapOptions& options) {
  return bootstrap(values.size(), options, [&](const Counts& counts) {
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += counts[i] * values[i];
    return values.empty() ? kNaN : sum / static_cast<double>(values.size());
  });
}

Estimate bootstrap_median(std::span<const double> values, const BootstrapOptions& options) {
  const std::vector<std::size_t> order = ascending_order(values);
  return bootstrap(values.size(), options,
                   [&](const Counts& counts) { return weighted_median(values, order, counts); });
}

Estimate bootstrap_spearman(std::span<const double> x, std::span<const double> y,
                            const BootstrapOptions& options) {
  if (x.size() < kFewestForInterval) return {kNaN, kNaN, kNaN};
  const std::vector<std::size_t> order_x = ascending_order(x);
  const std::vector<std::size_t> order_y = ascending_order(y);
  std::vector<double> ranks_x(x.size());
  std::vector<double> ranks_y(y.size());
  return bootstrap(x.size(), options, [&](const Counts& counts) {
    weighted_ranks(x, order_x, counts, ranks_x);
    weighted_ranks(y, order_y, counts, ranks_y);
    return weighted_correlation(ranks_x, ranks_y, counts);
  });
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::span<const double> values) {
  return weighted_median(values, ascending_order(values), Counts(values.size(), 1));
}

}  // namespace longshadow
