#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace longshadow {

/// A statistic of a sample and its 95% bootstrap interval. NaN stands for "not enough to say": the
/// interval below kFewestForInterval samples, a correlation also where one side is constant.
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

/// Percentile bootstrap (Efron and Tibshirani 1993, chapter 13): the sample is drawn again with
/// replacement `replicates` times; the interval runs from the 2.5% to the 97.5% quantile of the
/// statistic over the draws. The same seed gives the same interval on every machine. No value may
/// be NaN.
Estimate bootstrap_mean(std::span<const double> values, const BootstrapOptions& options);
Estimate bootstrap_median(std::span<const double> values, const BootstrapOptions& options);

/// Spearman's rank correlation of pairs (x[i], y[i]): Pearson's correlation of the ranks, tied
/// values sharing the mean of their ranks. Pairs are drawn together.
Estimate bootstrap_spearman(std::span<const double> x, std::span<const double> y,
                            const BootstrapOptions& options);

double mean(std::span<const double> values);
/// The middle value, or the mean of the two middle ones.
double median(std::span<const double> values);

}  // namespace longshadow
