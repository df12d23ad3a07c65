#include <algorithm>

#include "engine/ops/attention_statistics/window_statistics.h"
#include "engine/policies/policies.h"

namespace longshadow {
namespace {

/// How far the attention outputs of the last queries would move without a token (DropKV,
/// openreview.net/forum?id=MqfNzH3TVH, and its proposal to kvpress, pull request 285):
///   S(j) = sum over the window's queries i of (p_ij / (1 - p_ij))² |v_j - o_i|²,
/// with p_ij the softmax weights and o_i the outputs, meaned over the KV head's query heads. Exact
/// for one token of one head, in the head's output and not beyond it. There are no pools over
/// neighbours, which kvpress has and the paper's formula has not.
class DropKv final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    const auto heads =
        window_statistics(view.score, view.window_queries, view.keys, view.values, view.n, 1);
    const std::size_t window = traits().window_queries;
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t j = 0; j < view.n; ++j) {
        const std::size_t see = std::min(window, view.n - j);
        scores.head(head)[j] = heads[head].removal[j] * static_cast<double>(see);
      }
    }
    return scores;
  }
};

}  // namespace

/// Options: window 64, n_sink 0.
std::unique_ptr<Policy> make_dropkv(PolicyOptions& options) {
  const std::size_t window = options.whole("window", 64, 1);
  return std::make_unique<DropKv>(PolicyTraits{
      .n_sink = options.whole("n_sink", 0), .n_recent = window, .window_queries = window});
}

}  // namespace longshadow
