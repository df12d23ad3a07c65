#include <algorithm>
#include <array>
#include <string_view>

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

/// Options: n_sink 0; over: total (near, far), the positions whose influence counts.
std::unique_ptr<Policy> make_oracle(PolicyOptions& options) {
  constexpr std::array<std::string_view, 3> kOver{"total", "near", "far"};
  constexpr std::array kInfluence{Influence::total, Influence::near, Influence::far};
  return std::make_unique<Oracle>(
      PolicyTraits{.n_sink = options.whole("n_sink", 0),
                   .influence = kInfluence[options.choice("over", kOver)]});
}

}  // namespace longshadow
