#include <numeric>

#include "engine/policies/policies.h"

namespace longshadow {
namespace {

/// The first tokens, which models use as attention sinks, and the last ones (Xiao et al. 2023,
/// Efficient Streaming Language Models with Attention Sinks, arXiv 2309.17453).
class StreamingLlm final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const auto of_head = scores.head(head);
      std::iota(of_head.begin(), of_head.end(), 0.0);
    }
    return scores;
  }
};

}  // namespace

/// Options: n_sink 4.
std::unique_ptr<Policy> make_streaming_llm(PolicyOptions& options) {
  return std::make_unique<StreamingLlm>(PolicyTraits{.n_sink = options.whole("n_sink", 4)});
}

}  // namespace longshadow
