#include <algorithm>

#include "engine/policy/policies.h"

namespace longshadow {
namespace {

/// The tokens of the largest measured Forward Influence, in every layer and KV head: the reference
/// that other policies are drawn against.
class Oracle final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      std::copy(view.influence.begin(), view.influence.end(), scores.head(head).begin());
    }
    return scores;
  }
};

}  // namespace

/// Options: n_sink 0.
std::unique_ptr<Policy> make_oracle(PolicyOptions& options) {
  return std::make_unique<Oracle>(
      PolicyTraits{.n_sink = options.whole("n_sink", 0), .influence = true});
}

}  // namespace longshadow
