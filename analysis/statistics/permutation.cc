#include "analysis/statistics/permutation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "analysis/statistics/statistics.h"

namespace longshadow {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kMostEnumerated = 16;
constexpr int kFlips = 9999;
constexpr int kShuffles = 1999;

/// Sums in another order differ by rounding, and must not count as smaller.
bool is_as_far(double sum, double seen) { return std::abs(sum) >= std::abs(seen) * (1 - 1e-12); }

/// `signs` gives a bit for each value.
template <typename Signs>
double flipped_sum(std::span<const double> values, const Signs& signs) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += signs(i) ? -values[i] : values[i];
  return sum;
}

double mean_correlation(std::span<const CentredPairs> documents) {
  double sum = 0;
  double n = 0;
  for (const CentredPairs& pairs : documents) {
    const double r = centred_correlation(pairs.x, pairs.y);
    if (std::isnan(r)) continue;
    sum += r;
    n += 1;
  }
  return n > 0 ? sum / n : kNaN;
}

/// The standard library's shuffle differs between libraries.
void shuffle(std::vector<double>& values, std::mt19937& random) {
  for (std::uint64_t left = values.size(); left > 1; --left) {
    std::swap(values[left - 1], values[(random() * left) >> 32]);
  }
}

}  // namespace

double sign_flip_p(std::span<const double> values, std::uint32_t seed) {
  if (values.empty()) return kNaN;
  const double seen = std::accumulate(values.begin(), values.end(), 0.0);
  if (values.size() <= kMostEnumerated) {
    const std::uint32_t patterns = 1U << values.size();
    int as_far = 0;
    for (std::uint32_t pattern = 0; pattern < patterns; ++pattern) {
      as_far +=
          is_as_far(flipped_sum(values, [&](std::size_t i) { return pattern >> i & 1U; }), seen);
    }
    return static_cast<double>(as_far) / patterns;
  }
  std::mt19937 random(seed);
  int as_far = 1;
  for (int flip = 0; flip < kFlips; ++flip) {
    as_far += is_as_far(flipped_sum(values, [&](std::size_t) { return random() & 1U; }), seen);
  }
  return as_far / (kFlips + 1.0);
}

double shuffle_p(std::span<const CentredPairs> documents, std::uint32_t seed) {
  const double seen = mean_correlation(documents);
  if (std::isnan(seen)) return kNaN;
  std::vector<CentredPairs> shuffled(documents.begin(), documents.end());
  std::mt19937 random(seed);
  int as_far = 1;
  for (int i = 0; i < kShuffles; ++i) {
    for (CentredPairs& pairs : shuffled) shuffle(pairs.y, random);
    as_far += is_as_far(mean_correlation(shuffled), seen);
  }
  return as_far / (kShuffles + 1.0);
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (!std::isnan(p[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> corrected(p.begin(), p.end());
  double largest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const double factor = static_cast<double>(order.size() - rank);
    largest = std::max(largest, std::min(1.0, factor * p[order[rank]]));
    corrected[order[rank]] = largest;
  }
  return corrected;
}

}  // namespace longshadow
