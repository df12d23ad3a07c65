#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/vocabulary/sampling.h"

namespace longshadow {
namespace {

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

/// `count` logits from `at` on as f64, or in T; behind the n-th stands minus infinity.
template <class To, std::size_t count, class T>
LONGSHADOW_INLINE Lanes<To> logits_at(const T* logits, std::size_t at, std::size_t n) {
  typedef T Narrow __attribute__((vector_size(count * sizeof(T))));
  Narrow narrow;
  if (at + count <= n) {
    std::memcpy(&narrow, logits + at, sizeof narrow);
  } else {
    for (std::size_t i = 0; i < count; ++i) narrow[i] = at + i < n ? logits[at + i] : -kInfinity<T>;
  }
  return __builtin_convertvector(narrow, Lanes<To>);
}

template <class T>
struct Extremes {
  T largest;
  T smallest;  ///< of those above minus infinity
  bool has_nan;
};

template <class T>
LONGSHADOW_PER_CPU Extremes<T> extremes_of(const T* logits, std::size_t n) {
  Lanes<T> high = broadcast<T>(-kInfinity<T>);
  Lanes<T> negated_low = high;
  Lanes<T> nan{};
  for (std::size_t i = 0; i < n; i += kLanes<T>) {
    const Lanes<T> x = logits_at<T, kLanes<T>>(logits, i, n);
    high = maximum<T>(x, high);
    negated_low = maximum<T>(x > -kInfinity<T> ? -x : broadcast<T>(-kInfinity<T>), negated_low);
    nan = x != x ? broadcast<T>(1) : nan;
  }
  return {largest<T>(high), -largest<T>(negated_low), largest<T>(nan) != 0};
}

/// By falling logit, the lower id first among equals.
template <class T>
void sort_ids(std::span<const T> logits, std::vector<std::int32_t>& ids) {
  std::sort(ids.begin(), ids.end(), [logits](std::int32_t a, std::int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
}

/// A token's share before all are divided by their sum.
double weight(double logit, double maximum, double temperature) {
  return std::exp((logit - maximum) / temperature);
}

/// The rule as it is meant: what sample_token() gives, by sorting the vocabulary.
template <class T>
std::int32_t sample_by_sorting(std::span<const T> logits, const SamplingOptions& options,
                               double maximum, double uniform) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  sort_ids(logits, ids);
  std::vector<double> weights;
  for (const std::int32_t id : ids) {
    weights.push_back(weight(static_cast<double>(logits[id]), maximum, options.temperature));
  }
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double nucleus = 0;
  std::size_t n_kept = 0;
  while (n_kept < weights.size() && (n_kept == 0 || nucleus < options.top_p * total)) {
    nucleus += weights[n_kept++];
  }
  std::size_t chosen = 0;
  for (double below = weights[0]; chosen + 1 < n_kept && below <= uniform * nucleus;) {
    below += weights[++chosen];
  }
  return ids[chosen];
}

/// Tokens by how far their logits lie below the largest: enough that few share one.
constexpr std::size_t kBuckets = 2048;
/// In units of the temperature; tokens farther below, at e^-64 = 2e-28, share the last bucket.
constexpr double kDeepest = 64;

/// The bucket of each token, which falls with its logit, and the buckets' sums of weights.
template <class T>
LONGSHADOW_PER_CPU void fill_buckets(const T* logits, std::size_t n, double maximum,
                                     double temperature, double per_depth, std::int32_t* buckets,
                                     double* sums) {
  constexpr std::size_t kWidth = kLanes<double>;
  typedef std::int32_t Indices __attribute__((vector_size(32)));
  for (std::size_t i = 0; i < n; i += kWidth) {
    const Lanes<double> exponent =
        (logits_at<double, kWidth>(logits, i, n) - maximum) / temperature;
    const Lanes<double> weights = exp<double>(exponent);
    const Indices indices = __builtin_convertvector(
        minimum<double>(-exponent * per_depth, broadcast<double>(kBuckets - 1)), Indices);
    std::memcpy(buckets + i, &indices, sizeof indices);
    for (std::size_t lane = 0; lane < kWidth; ++lane) sums[indices[lane]] += weights[lane];
  }
}

/// The running sum of the sorted tokens' weights, known without sorting as far as rounding allows.
///
/// What sample_by_sorting() adds up is within (n - 1) u of the true sum, u = 2^-53, as all terms
/// are positive; so is ours, in another order, and its weights differ by 3 ulp, 6 u, at most (below
/// the smallest normal number by nothing that a sum of 1 and more could show). A target is such a
/// sum times a factor, rounded. So a comparison of the two is certain where they differ by more
/// than 2 (2 n + 6) u + 2 u; `slack` is 5 (n + 16) u, for terms of second order and the comparison.
template <class T>
class RunningSum {
 public:
  RunningSum(std::span<const T> logits, const Extremes<T>& extremes, double temperature)
      : logits_(logits),
        maximum_(static_cast<double>(extremes.largest)),
        temperature_(temperature),
        slack_(5 * (static_cast<double>(logits.size()) + 16) * 0x1p-53),
        buckets_((logits.size() / kLanes<double> + 1) * kLanes<double>) {
    const double depth = (maximum_ - static_cast<double>(extremes.smallest)) / temperature;
    const double per_depth = kBuckets / std::clamp(depth, 1e-200, kDeepest);
    fill_buckets(logits.data(), logits.size(), maximum_, temperature, per_depth, buckets_.data(),
                 sums_.data());
  }

  double total() const { return std::accumulate(sums_.begin(), sums_.end(), 0.0); }

  struct Crossing {
    std::int32_t id;
    double sum;  ///< with the token
  };

  /// The token with which the sum gets past `target`; empty where rounding decides which it is.
  std::optional<Crossing> get_past(double target) const {
    double before = 0;
    std::size_t bucket = 0;
    while (bucket + 1 < kBuckets && before + sums_[bucket] <= target) before += sums_[bucket++];
    for (const std::int32_t id : sorted_bucket(static_cast<std::int32_t>(bucket))) {
      const double after =
          before + weight(static_cast<double>(logits_[id]), maximum_, temperature_);
      if (after > target) {
        const bool certain = before * (1 + slack_) < target && after > target * (1 + slack_);
        return certain ? std::optional(Crossing{id, after}) : std::nullopt;
      }
      before = after;
    }
    return std::nullopt;
  }

 private:
  std::vector<std::int32_t> sorted_bucket(std::int32_t bucket) const {
    std::vector<std::int32_t> ids;
    for (std::size_t id = 0; id < logits_.size(); ++id) {
      if (buckets_[id] == bucket) ids.push_back(static_cast<std::int32_t>(id));
    }
    sort_ids(logits_, ids);
    return ids;
  }

  std::span<const T> logits_;
  double maximum_, temperature_, slack_;
  std::vector<std::int32_t> buckets_;
  std::array<double, kBuckets> sums_{};
};

/// The token that sample_by_sorting() gives, where that does not hang on the rounding of a sum.
template <class T>
std::optional<std::int32_t> sample_by_buckets(std::span<const T> logits,
                                              const SamplingOptions& options,
                                              const Extremes<T>& extremes, double uniform) {
  const RunningSum<T> sum(logits, extremes, options.temperature);
  double nucleus = sum.total();
  if (options.top_p < 1) {
    const auto last = sum.get_past(options.top_p * nucleus);
    if (!last) return {};
    nucleus = last->sum;
  }
  const auto drawn = sum.get_past(uniform * nucleus);
  return drawn ? std::optional(drawn->id) : std::nullopt;
}

}  // namespace

template <class T>
std::int32_t sample_token(std::span<const T> logits, const SamplingOptions& options,
                          double uniform) {
  require_at_least("sample_token", "logits.size()", logits.size(), 1);
  const Extremes<T> extremes = extremes_of(logits.data(), logits.size());
  if (extremes.has_nan) {
    const auto nan = std::find_if(logits.begin(), logits.end(), [](T x) { return std::isnan(x); });
    throw Error("the logit of token " + std::to_string(nan - logits.begin()) +
                " is not a number; no token can be drawn");
  }
  if (options.temperature == 0 || !std::isfinite(extremes.largest)) {
    const auto likeliest = std::find(logits.begin(), logits.end(), extremes.largest);
    return static_cast<std::int32_t>(likeliest - logits.begin());
  }
  if (const auto id = sample_by_buckets(logits, options, extremes, uniform)) return *id;
  return sample_by_sorting(logits, options, static_cast<double>(extremes.largest), uniform);
}

template <class T>
void penalize_repetition(std::span<T> logits, std::span<const std::int32_t> ids, double penalty) {
  const T factor = static_cast<T>(penalty);
  for (const std::int32_t id : ids) {
    T& logit = logits[id];
    logit = logit < 0 ? logit * factor : logit / factor;
  }
}

#define LONGSHADOW_INSTANTIATE(T)                                                         \
  template std::int32_t sample_token(std::span<const T>, const SamplingOptions&, double); \
  template void penalize_repetition(std::span<T>, std::span<const std::int32_t>, double);
LONGSHADOW_INSTANTIATE(float)
LONGSHADOW_INSTANTIATE(double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
