#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "engine/policies/policies.h"
#include "engine/policy/top_slots.h"

namespace longshadow {
namespace {

/// The largest measured Forward Influence: the reference that other policies are drawn against. The
/// tokens that matter most, in every layer and KV head; what matters most in each KV head by
/// itself; or in all of them together.
class Oracle final : public Policy {
 public:
  using Policy::Policy;

  TokenScores scores(const LayerView& view) const override {
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const std::size_t row = traits().influence_by_head ? head : 0;
      std::copy_n(view.influence.data() + row * view.n, view.n, scores.head(head).begin());
    }
    return scores;
  }

  std::vector<KeptSlots> select(std::span<const TokenScores> layers,
                                const SlotBudget& budget) const override {
    if (!traits().across_layers) return Policy::select(layers, budget);
    const auto& slots = budget.slots;
    const std::size_t total = std::accumulate(slots.begin(), slots.end(), std::size_t{0});
    // Sinks, and a slot at least: a head without keys has no attention.
    const std::size_t sure = std::max(std::size_t{1}, traits().n_sink);
    return top_slots_together(layers, total, std::min(sure, slots.front()));
  }
};

}  // namespace

/// Options: n_sink 0; over: total (near, far), the positions whose influence counts; by: token
/// (head, global), where what is measured leaves.
std::unique_ptr<Policy> make_oracle(PolicyOptions& options) {
  constexpr std::array<std::string_view, 3> kOver{"total", "near", "far"};
  constexpr std::array kInfluence{Influence::total, Influence::near, Influence::far};
  constexpr std::array<std::string_view, 3> kBy{"token", "head", "global"};
  const std::size_t by = options.choice("by", kBy);
  return std::make_unique<Oracle>(
      PolicyTraits{.n_sink = options.whole("n_sink", 0),
                   .across_layers = by == 2,
                   .influence = kInfluence[options.choice("over", kOver)],
                   .influence_by_head = by != 0});
}

}  // namespace longshadow
