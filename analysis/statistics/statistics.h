#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace longshadow {

/// A statistic of a sample and its 95% bootstrap interval. NaN stands for "not enough to say": the
/// interval below kFewestForInterval samples or clusters, a correlation also where one side is
/// constant.
struct Estimate {
  double value;
  double low;
  double high;
};

inline constexpr std::size_t kFewestForInterval = 5;

struct BootstrapOptions {
  std::size_t replicates = 1000;
  std::uint32_t seed = 1;
};

/// Clusters, documents for instance, that samples are from: an id for each of n samples. Whole
/// clusters are drawn. Empty: every sample is a cluster of its own.
using Clusters = std::span<const std::uint32_t>;

/// How often each of n samples occurs in one draw. A statistic of the draw is then a weighted
/// statistic of the sample, which needs no copying and no sorting.
using Counts = std::vector<std::uint32_t>;
using Statistic = std::function<double(const Counts&)>;

/// Percentile bootstrap (Efron and Tibshirani 1993, chapter 13): as many samples or clusters as
/// there are, are drawn with replacement `replicates` times; the interval runs from the 2.5% to the
/// 97.5% quantile of the statistic over the draws that allow one (it may answer NaN). The same seed
/// gives the same interval on every machine.
Estimate bootstrap(std::size_t n, const BootstrapOptions& options, Clusters clusters,
                   const Statistic& statistic);

/// Means, medians and trimmed means with their intervals. No value may be NaN.
Estimate bootstrap_mean(std::span<const double> values, const BootstrapOptions& options,
                        Clusters clusters = {});
Estimate bootstrap_median(std::span<const double> values, const BootstrapOptions& options,
                          Clusters clusters = {});
Estimate bootstrap_trimmed_mean(std::span<const double> values, const BootstrapOptions& options,
                                Clusters clusters = {});

/// Difference of means: of the values whose flag is set, less that of the others.
Estimate bootstrap_difference(std::span<const double> values, std::span<const std::uint8_t> flags,
                              const BootstrapOptions& options, Clusters clusters = {});

/// Spearman's rank correlation of pairs (x[i], y[i]): Pearson's correlation of the ranks, tied
/// values sharing the mean of their ranks. Pairs are drawn together.
Estimate bootstrap_spearman(std::span<const double> x, std::span<const double> y,
                            const BootstrapOptions& options, Clusters clusters = {});

/// Spearman's partial correlation of x and y given z (Kendall and Stuart, volume 2, chapter 27):
/// with Pearson's correlations r of the ranks, (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)).
/// Ranks are taken within a cluster and divided by its size, so that what tells the clusters apart
/// correlates with nothing.
Estimate bootstrap_partial_spearman(std::span<const double> x, std::span<const double> y,
                                    std::span<const double> z, const BootstrapOptions& options,
                                    Clusters clusters = {});

double mean(std::span<const double> values);
/// Median: for an even count, the mean of the two middle values.
double median(std::span<const double> values);
/// The mean without the lowest and the highest tenth, of n values floor(n / 10) each.
double trimmed_mean(std::span<const double> values);

/// Ranks from 1, less the mean of all ranks. Tied values share the mean of their ranks.
std::vector<double> centred_ranks(std::span<const double> values);
/// Pearson's correlation of values that are centred; NaN where one side is constant.
double centred_correlation(std::span<const double> x, std::span<const double> y);

}  // namespace longshadow
