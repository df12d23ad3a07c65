#include <algorithm>

#include "engine/policies/policies.h"

namespace longshadow {
namespace {

/// What the last token attends to, over all heads (Oren et al. 2024, Transformers are Multi-State
/// RNNs, arXiv 2401.06104). All KV heads keep the same tokens.
class Tova final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      std::copy_n(view.attention.row(head), view.n, scores.head(head).begin());
    }
    scores.average_heads();
    return scores;
  }
};

}  // namespace

/// Options: n_sink 0.
std::unique_ptr<Policy> make_tova(PolicyOptions& options) {
  return std::make_unique<Tova>(PolicyTraits{.n_sink = options.whole("n_sink", 0),
                                             .n_recent = 1,
                                             .joint_heads = true,
                                             .attention_queries = 1});
}

}  // namespace longshadow
