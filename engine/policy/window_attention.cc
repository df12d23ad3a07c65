#include "engine/policy/window_attention.h"

#include <algorithm>

#include "engine/core/error.h"

namespace longshadow {

void sum_neighbours(std::span<const double> values, std::size_t kernel, std::span<double> out) {
  for (std::size_t j = 0; j < values.size(); ++j) {
    const std::size_t first = j - std::min(j, kernel / 2);
    const std::size_t last = std::min(j + kernel / 2, values.size() - 1);
    double sum = 0;
    for (std::size_t i = first; i <= last; ++i) sum += values[i];
    out[j] = sum;
  }
}

WindowAttention::WindowAttention(PolicyOptions& options, std::size_t default_window,
                                 std::size_t default_kernel)
    : window(options.whole("window", default_window, 1)),
      kernel(options.whole("kernel", default_kernel, 1)) {
  if (kernel % 2 == 0) {
    throw UsageError("kernel=" + std::to_string(kernel) +
                     ": a token is averaged with as many neighbours on either side; give an odd "
                     "number");
  }
}

PolicyTraits WindowAttention::traits(std::size_t n_sink) const {
  return {.n_sink = n_sink, .n_recent = window, .attention_queries = window};
}

TokenScores WindowAttention::scores(const LayerView& view) const {
  const std::size_t end = view.n - window;
  const double divisor = static_cast<double>(window * kernel);
  TokenScores scores(view.keys.n_heads, view.n);
  for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
    sum_neighbours({view.attention.row(head), end}, kernel, scores.head(head));
    for (double& score : scores.head(head)) score /= divisor;
  }
  return scores;
}

}  // namespace longshadow
