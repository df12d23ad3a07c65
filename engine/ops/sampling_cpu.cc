#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/ops/sampling.h"

namespace longshadow {

template <class T>
std::int32_t sample_token(std::span<const T> logits, const SamplingOptions& options,
                          double uniform) {
  require_at_least("sample_token", "logits.size()", logits.size(), 1);
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (std::isnan(logits[id])) {
      throw Error("the logit of token " + std::to_string(id) +
                  " is not a number; no token can be drawn");
    }
  }
  const auto likeliest = std::max_element(logits.begin(), logits.end()) - logits.begin();
  if (options.temperature == 0) return static_cast<std::int32_t>(likeliest);

  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](std::int32_t a, std::int32_t b) { return logits[a] > logits[b]; });
  const double maximum = static_cast<double>(logits[ids[0]]);
  std::vector<double> weights;
  for (const std::int32_t id : ids) {
    weights.push_back(std::exp((static_cast<double>(logits[id]) - maximum) / options.temperature));
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

template std::int32_t sample_token(std::span<const float>, const SamplingOptions&, double);
template std::int32_t sample_token(std::span<const double>, const SamplingOptions&, double);

}  // namespace longshadow
