#include "analysis/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <vector>

namespace longshadow {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

constexpr std::size_t kTrimmedOneIn = 10;

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

std::uint64_t total(const Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

/// Clusters numbered from 0 without gaps, and how many there are.
std::size_t number_clusters(Clusters clusters, std::vector<std::uint32_t>& dense) {
  std::vector<std::uint32_t> distinct(clusters.begin(), clusters.end());
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (const std::uint32_t cluster : clusters) {
    const auto at = std::lower_bound(distinct.begin(), distinct.end(), cluster);
    dense.push_back(static_cast<std::uint32_t>(at - distinct.begin()));
  }
  return distinct.size();
}

/// The median of values that occur `counts` times each, `order` being their ascending order.
double weighted_median(std::span<const double> values, std::span<const std::size_t> order,
                       const Counts& counts) {
  const std::uint64_t n = total(counts);
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

double weighted_trimmed_mean(std::span<const double> values, std::span<const std::size_t> order,
                             const Counts& counts) {
  const std::uint64_t n = total(counts);
  const std::uint64_t first = n / kTrimmedOneIn;
  const std::uint64_t last = n - first;
  std::uint64_t seen = 0;
  double sum = 0;
  for (const std::size_t i : order) {
    const std::uint64_t begin = std::clamp(seen, first, last);
    seen += counts[i];
    sum += values[i] * static_cast<double>(std::clamp(seen, first, last) - begin);
  }
  return first < last ? sum / static_cast<double>(last - first) : kNaN;
}

double weighted_mean(std::span<const double> values, const Counts& counts) {
  double sum = 0;
  double n = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += counts[i] * values[i];
    n += counts[i];
  }
  return n > 0 ? sum / n : kNaN;
}

/// Ranks, centred on their mean, of values that occur `counts` times each.
void weighted_ranks(std::span<const double> values, std::span<const std::size_t> order,
                    const Counts& counts, std::vector<double>& ranks) {
  const double centre = 0.5 * (static_cast<double>(total(counts)) + 1.0);
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

/// Pearson's correlation of values that are centred under these counts.
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

/// Ranks that follow the counts: of single samples they are taken again in every draw. A cluster is
/// drawn as a whole, so ranks within it stay.
class DrawnRanks {
 public:
  DrawnRanks(std::span<const double> values, Clusters clusters)
      : values_(values), order_(ascending_order(values)), ranks_(values.size()) {
    if (clusters.empty()) return;
    within_clusters_ = true;
    std::map<std::uint32_t, std::vector<std::size_t>> members;
    for (std::size_t i = 0; i < values.size(); ++i) members[clusters[i]].push_back(i);
    for (const auto& [cluster, samples] : members) {
      std::vector<double> own;
      for (const std::size_t i : samples) own.push_back(values[i]);
      const std::vector<double> ranks = centred_ranks(own);
      for (std::size_t k = 0; k < samples.size(); ++k) {
        ranks_[samples[k]] = ranks[k] / static_cast<double>(samples.size());
      }
    }
  }

  const std::vector<double>& of(const Counts& counts) {
    if (!within_clusters_) weighted_ranks(values_, order_, counts, ranks_);
    return ranks_;
  }

 private:
  std::span<const double> values_;
  std::vector<std::size_t> order_;
  std::vector<double> ranks_;
  bool within_clusters_ = false;
};

}  // namespace

Estimate bootstrap(std::size_t n, const BootstrapOptions& options, Clusters clusters,
                   const Statistic& statistic) {
  Counts counts(n, 1);
  Estimate estimate{n == 0 ? kNaN : statistic(counts), kNaN, kNaN};
  std::vector<std::uint32_t> cluster_of;
  const std::size_t n_drawn = clusters.empty() ? n : number_clusters(clusters, cluster_of);
  if (n_drawn < kFewestForInterval || std::isnan(estimate.value)) return estimate;

  std::mt19937 random(options.seed);
  Counts drawn(n_drawn);
  std::vector<double> replicates;
  for (std::size_t r = 0; r < options.replicates; ++r) {
    draw(random, drawn);
    for (std::size_t i = 0; i < n; ++i) counts[i] = drawn[clusters.empty() ? i : cluster_of[i]];
    const double value = statistic(counts);
    if (!std::isnan(value)) replicates.push_back(value);
  }
  if (replicates.empty()) return estimate;
  std::sort(replicates.begin(), replicates.end());
  estimate.low = quantile(replicates, 0.025);
  estimate.high = quantile(replicates, 0.975);
  return estimate;
}

Estimate bootstrap_mean(std::span<const double> values, const BootstrapOptions& options,
                        Clusters clusters) {
  return bootstrap(values.size(), options, clusters,
                   [&](const Counts& counts) { return weighted_mean(values, counts); });
}

Estimate bootstrap_median(std::span<const double> values, const BootstrapOptions& options,
                          Clusters clusters) {
  const std::vector<std::size_t> order = ascending_order(values);
  return bootstrap(values.size(), options, clusters,
                   [&](const Counts& counts) { return weighted_median(values, order, counts); });
}

Estimate bootstrap_trimmed_mean(std::span<const double> values, const BootstrapOptions& options,
                                Clusters clusters) {
  const std::vector<std::size_t> order = ascending_order(values);
  return bootstrap(values.size(), options, clusters, [&](const Counts& counts) {
    return weighted_trimmed_mean(values, order, counts);
  });
}

Estimate bootstrap_difference(std::span<const double> values, std::span<const std::uint8_t> flags,
                              const BootstrapOptions& options, Clusters clusters) {
  return bootstrap(values.size(), options, clusters, [&](const Counts& counts) {
    double sums[2] = {0, 0};
    double n[2] = {0, 0};
    for (std::size_t i = 0; i < values.size(); ++i) {
      sums[flags[i] != 0] += counts[i] * values[i];
      n[flags[i] != 0] += counts[i];
    }
    return n[0] > 0 && n[1] > 0 ? sums[1] / n[1] - sums[0] / n[0] : kNaN;
  });
}

Estimate bootstrap_spearman(std::span<const double> x, std::span<const double> y,
                            const BootstrapOptions& options, Clusters clusters) {
  if (x.size() < kFewestForInterval) return {kNaN, kNaN, kNaN};
  const std::vector<std::size_t> order_x = ascending_order(x);
  const std::vector<std::size_t> order_y = ascending_order(y);
  std::vector<double> ranks_x(x.size());
  std::vector<double> ranks_y(y.size());
  return bootstrap(x.size(), options, clusters, [&](const Counts& counts) {
    weighted_ranks(x, order_x, counts, ranks_x);
    weighted_ranks(y, order_y, counts, ranks_y);
    return weighted_correlation(ranks_x, ranks_y, counts);
  });
}

Estimate bootstrap_partial_spearman(std::span<const double> x, std::span<const double> y,
                                    std::span<const double> z, const BootstrapOptions& options,
                                    Clusters clusters) {
  if (x.size() < kFewestForInterval) return {kNaN, kNaN, kNaN};
  DrawnRanks ranks_x(x, clusters);
  DrawnRanks ranks_y(y, clusters);
  DrawnRanks ranks_z(z, clusters);
  return bootstrap(x.size(), options, clusters, [&](const Counts& counts) {
    const auto& rx = ranks_x.of(counts);
    const auto& ry = ranks_y.of(counts);
    const auto& rz = ranks_z.of(counts);
    const double xy = weighted_correlation(rx, ry, counts);
    const double xz = weighted_correlation(rx, rz, counts);
    const double yz = weighted_correlation(ry, rz, counts);
    const double unexplained = (1 - xz * xz) * (1 - yz * yz);
    return unexplained > 0 ? (xy - xz * yz) / std::sqrt(unexplained) : kNaN;
  });
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::span<const double> values) {
  return weighted_median(values, ascending_order(values), Counts(values.size(), 1));
}

double trimmed_mean(std::span<const double> values) {
  return weighted_trimmed_mean(values, ascending_order(values), Counts(values.size(), 1));
}

std::vector<double> centred_ranks(std::span<const double> values) {
  std::vector<double> ranks(values.size());
  weighted_ranks(values, ascending_order(values), Counts(values.size(), 1), ranks);
  return ranks;
}

double centred_correlation(std::span<const double> x, std::span<const double> y) {
  return weighted_correlation(x, y, Counts(x.size(), 1));
}

}  // namespace longshadow
