#include "analysis/statistics/statistics.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "tests/support/normal_sample.h"

using namespace longshadow;
using test::normal_sample;

namespace {

/// Rank of x[i] as 1 + how many are smaller + half of the others that are equal.
std::vector<double> ranks_by_counting(const std::vector<double>& x) {
  std::vector<double> ranks;
  for (const double value : x) {
    const auto smaller = std::count_if(x.begin(), x.end(), [&](double v) { return v < value; });
    const auto equal = std::count(x.begin(), x.end(), value);
    ranks.push_back(static_cast<double>(smaller) + 0.5 * static_cast<double>(equal + 1));
  }
  return ranks;
}

double pearson(const std::vector<double>& x, const std::vector<double>& y) {
  const double mean_x = mean(x);
  const double mean_y = mean(y);
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return xy / std::sqrt(xx * yy);
}

/// P(at least k of n) where each happens with probability p.
double binomial_tail(int n, int k, double p) {
  double sum = 0;
  for (int i = k; i <= n; ++i) {
    const double log_choose =
        std::lgamma(n + 1.0) - std::lgamma(i + 1.0) - std::lgamma(n - i + 1.0);
    sum += std::exp(log_choose + i * std::log(p) + (n - i) * std::log1p(-p));
  }
  return sum;
}

}  // namespace

TEST_CASE("mean and median") {
  CHECK(mean(std::vector<double>{1, 2, 6}) == 3);
  CHECK(median(std::vector<double>{6, 1, 2}) == 2);
  CHECK(median(std::vector<double>{8, 1, 2, 4}) == 3);
  CHECK(median(std::vector<double>{5}) == 5);
}

TEST_CASE("the rank correlation is Pearson's of ranks, ties included") {
  std::mt19937 random(3);
  for (const std::size_t n : {5u, 20u, 101u}) {
    std::vector<double> x(n);
    std::vector<double> y(n);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = static_cast<double>(random() % 7);  // many ties
      y[i] = x[i] + static_cast<double>(random() % 50);
    }
    const double expected = pearson(ranks_by_counting(x), ranks_by_counting(y));
    // Sums of n products of ranks, each exact in a double, then one division and one root.
    CHECK(bootstrap_spearman(x, y, {}).value == Approx(expected).epsilon(1e-13));
  }
}

TEST_CASE("perfectly ordered pairs correlate by one, a constant by nothing") {
  const std::vector<double> x = {1, 2, 3, 4, 5, 6};
  const std::vector<double> up = {1, 10, 100, 1e3, 1e4, 1e5};
  const std::vector<double> down(up.rbegin(), up.rend());
  const std::vector<double> constant(6, 2.0);
  CHECK(bootstrap_spearman(x, up, {}).value == Approx(1).epsilon(1e-15));
  CHECK(bootstrap_spearman(x, down, {}).value == Approx(-1).epsilon(1e-15));
  CHECK(bootstrap_spearman(x, up, {}).low == Approx(1).epsilon(1e-15));
  CHECK(std::isnan(bootstrap_spearman(x, constant, {}).value));
}

TEST_CASE("the interval of a mean is that of the normal approximation") {
  const std::size_t n = 400;
  const std::vector<double> values = normal_sample(n, 5);
  double squares = 0;
  for (const double value : values) squares += (value - mean(values)) * (value - mean(values));
  const double deviation = std::sqrt(squares) / static_cast<double>(n);  // of the bootstrap's means
  const Estimate estimate = bootstrap_mean(values, {.replicates = 20000, .seed = 1});
  CHECK(estimate.value == Approx(mean(values)));
  // A 2.5% quantile of R draws has the standard error sqrt(0.025 * 0.975 / R) / phi(1.96) = 0.019
  // deviations at R = 20,000; four of them, and 0.02 for the draws' own skewness.
  const double tolerance = (4 * 0.019 + 0.02) * deviation;
  CHECK(std::fabs(estimate.low - (mean(values) - 1.96 * deviation)) < tolerance);
  CHECK(std::fabs(estimate.high - (mean(values) + 1.96 * deviation)) < tolerance);
}

TEST_CASE("the interval of a median is the one that the binomial distribution gives") {
  // The median of a draw from 0, 1, ..., n - 1 is at most k where at least (n + 1) / 2 of its n
  // members are, each with the probability (k + 1) / n.
  for (const int n : {5, 25, 101}) {
    std::vector<double> values;
    for (int i = 0; i < n; ++i)
      values.push_back((i * 37) % n);  // 37 is prime to n: each value once
    const Estimate estimate = bootstrap_median(values, {.replicates = 20000, .seed = 1});
    CHECK(estimate.value == (n - 1) / 2);
    const auto at_most = [&](double k) { return binomial_tail(n, (n + 1) / 2, (k + 1) / n); };
    // 20,000 draws know a probability of 2.5% to 0.0011; four times that.
    CHECK(at_most(estimate.low) > 0.025 - 0.0045);
    CHECK((estimate.low == 0 || at_most(estimate.low - 1) < 0.025 + 0.0045));
    CHECK((estimate.high == n - 1 || at_most(estimate.high) > 0.975 - 0.0045));
    CHECK(at_most(estimate.high - 1) < 0.975 + 0.0045);
  }
}

TEST_CASE("95% intervals hold the truth about 95 times in a hundred") {
  const int trials = 400;
  int covered = 0;
  for (int trial = 0; trial < trials; ++trial) {
    const Estimate estimate = bootstrap_mean(normal_sample(60, 100 + trial), {.replicates = 400});
    covered += estimate.low <= 0 && 0 <= estimate.high;
  }
  // The percentile interval of 60 is a little narrow (it divides by n, not n - 1, and has no t
  // quantile): 94.0% in the limit. Four standard errors of 400 trials are 4.7%.
  CHECK(std::fabs(covered / double{trials} - 0.94) < 0.047);
}

TEST_CASE("the seed decides the interval") {
  const std::vector<double> values = normal_sample(50, 8);
  const Estimate first = bootstrap_mean(values, {.replicates = 200, .seed = 1});
  const Estimate again = bootstrap_mean(values, {.replicates = 200, .seed = 1});
  const Estimate other = bootstrap_mean(values, {.replicates = 200, .seed = 2});
  CHECK(first.low == again.low);
  CHECK(first.high == again.high);
  CHECK(first.low != other.low);
}

TEST_CASE("too few samples give no interval, none give no value") {
  CHECK(bootstrap_mean(std::vector<double>{1, 2, 3, 6}, {}).value == 3);
  CHECK(std::isnan(bootstrap_mean(std::vector<double>{1, 2, 3, 6}, {}).low));
  CHECK(std::isnan(bootstrap_mean({}, {}).value));
  CHECK(std::isnan(bootstrap_median({}, {}).value));
  CHECK(std::isnan(bootstrap_spearman({}, {}, {}).value));
}

TEST_CASE("the trimmed mean leaves out a tenth at each end") {
  CHECK(trimmed_mean(std::vector<double>{5, 1, 3}) == 3);  // of three none
  CHECK(trimmed_mean(std::vector<double>{1000, 1, 2, 3, 4, 5, 6, 7, 8, -90}) == 4.5);
  std::vector<double> values = normal_sample(57, 2);
  const double estimate = bootstrap_trimmed_mean(values, {}).value;
  std::sort(values.begin(), values.end());
  CHECK(estimate == Approx(mean(std::vector<double>(values.begin() + 5, values.end() - 5))));
}

TEST_CASE("a draw of clusters is a draw of their samples together") {
  const std::vector<double> of_cluster = normal_sample(8, 4);
  std::vector<double> values;
  std::vector<std::uint32_t> clusters;
  for (std::uint32_t c = 0; c < 8; ++c) {
    for (int copies = 0; copies < 3; ++copies) {
      values.push_back(of_cluster[c]);
      clusters.push_back(10 * c);  // numbers with gaps
    }
  }
  // Equal within clusters: the mean of a draw is the mean over its clusters, median and all.
  const Estimate whole = bootstrap_mean(values, {}, clusters);
  const Estimate single = bootstrap_mean(of_cluster, {});
  CHECK(whole.low == Approx(single.low));
  CHECK(whole.high == Approx(single.high));
  CHECK(bootstrap_median(values, {}, clusters).low == bootstrap_median(of_cluster, {}).low);
  const Estimate alone = bootstrap_mean(values, {});
  CHECK(alone.high - alone.low < 0.8 * (whole.high - whole.low));  // by sqrt(3), in the limit
  // As many clusters as an interval needs.
  CHECK(std::isnan(bootstrap_mean(values, {}, std::vector<std::uint32_t>(24, 1)).low));
}

TEST_CASE("the difference of two groups' means") {
  const std::vector<double> values = {1, 10, 3, 20, 5};
  const std::vector<std::uint8_t> flags = {0, 1, 0, 1, 0};
  CHECK(bootstrap_difference(values, flags, {}).value == 15 - 3);
  const Estimate few = bootstrap_difference(values, flags, {.replicates = 500});
  CHECK(few.low >= 5);  // draws without one of the groups have no difference
  CHECK(few.high <= 19);
  CHECK(std::isnan(bootstrap_difference(values, std::vector<std::uint8_t>(5), {}).value));
}

namespace {

/// What a straight line through ranks of z leaves of ranks of x.
std::vector<double> residuals(const std::vector<double>& x, const std::vector<double>& z) {
  const double slope = [&] {
    double xz = 0;
    double zz = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      xz += (x[i] - mean(x)) * (z[i] - mean(z));
      zz += (z[i] - mean(z)) * (z[i] - mean(z));
    }
    return xz / zz;
  }();
  std::vector<double> left(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) left[i] = x[i] - slope * z[i];
  return left;
}

}  // namespace

TEST_CASE("the partial correlation is that of what a line through the third leaves") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    const std::vector<double> z = normal_sample(40, seed);
    std::vector<double> x = normal_sample(40, 10 + seed);
    std::vector<double> y = normal_sample(40, 20 + seed);
    for (std::size_t i = 0; i < 40; ++i) {
      x[i] += 2 * z[i];
      y[i] += z[i] + 0.5 * x[i];
    }
    const std::vector<double> rz = ranks_by_counting(z);
    const double expected =
        pearson(residuals(ranks_by_counting(x), rz), residuals(ranks_by_counting(y), rz));
    const Estimate estimate = bootstrap_partial_spearman(x, y, z, {});
    CHECK(estimate.value == Approx(expected).epsilon(1e-12));
    CHECK(estimate.low < expected);
    CHECK(estimate.high > expected);
  }
}

TEST_CASE("what tells clusters apart correlates with nothing") {
  // Within each cluster x and y go against each other; between clusters they rise together.
  std::vector<double> x;
  std::vector<double> y;
  std::vector<std::uint32_t> clusters;
  for (std::uint32_t c = 0; c < 6; ++c) {
    for (int i = 0; i < 4; ++i) {
      x.push_back(100.0 * c + i);
      y.push_back(100.0 * c - i);
      clusters.push_back(c);
    }
  }
  const std::vector<double> z = normal_sample(24, 6);
  CHECK(bootstrap_spearman(x, y, {}).value > 0.8);
  CHECK(bootstrap_partial_spearman(x, y, z, {}, clusters).value == Approx(-1));
}
