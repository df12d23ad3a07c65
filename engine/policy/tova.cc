#include "engine/policy/policies.h"

namespace longshadow {
namespace {

/// What the last token attends to, over all heads (Oren et al. 2024, Transformers are Multi-State
/// RNNs, arXiv 2401.06104). All KV heads keep the same tokens.
class Tova final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t j = 0; j < view.n; ++j) {
      double sum = 0;
      for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
        sum += view.attention.row(head)[j];
      }
      const double mean = sum / static_cast<double>(scores.n_kv_heads());
      for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) scores.head(head)[j] = mean;
    }
    return scores;
  }
};

}  // namespace

/// Options: n_sink 0.
std::unique_ptr<Policy> make_tova(PolicyOptions& options) {
  return std::make_unique<Tova>(
      PolicyTraits{.n_sink = options.whole("n_sink", 0), .n_recent = 1, .attention_queries = 1});
}

}  // namespace longshadow
