#include "engine/policies/policies.h"
#include "engine/policy/vectors.h"

namespace longshadow {
namespace {

/// Keys of small norm, which draw attention (Devoto et al. 2024, A Simple and Effective L2
/// Norm-Based Strategy for KV Cache Compression, arXiv 2406.11430).
class Knorm final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t j = 0; j < view.n; ++j) {
        scores.head(head)[j] = -norm2(view.keys.head(head).row(j), view.keys.head_dim);
      }
    }
    return scores;
  }
};

}  // namespace

/// Options: n_sink 0.
std::unique_ptr<Policy> make_knorm(PolicyOptions& options) {
  return std::make_unique<Knorm>(PolicyTraits{.n_sink = options.whole("n_sink", 0)});
}

}  // namespace longshadow
