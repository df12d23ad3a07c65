#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "engine/policies/policies.h"
#include "engine/policy/top_slots.h"
#include "engine/policy/wrapper.h"

namespace longshadow {
namespace {

/// One budget for the KV heads of a layer, or of all layers, together, spent where the scores are
/// highest, with a share that every head is sure of (Feng et al. 2024, Ada-KV: Optimizing KV Cache
/// Eviction by Adaptive Budget Allocation, arXiv 2407.11550, which divides it within layers). The
/// heads then keep different numbers of slots.
class AdaKv final : public Wrapper {
 public:
  AdaKv(const PolicyTraits& traits, std::unique_ptr<Policy> scorer, double safe_share)
      : Wrapper(traits, std::move(scorer)), safe_share_(safe_share) {}

  std::vector<KeptSlots> select(std::span<const TokenScores> layers,
                                const SlotBudget& budget) const override {
    const std::span<const std::size_t> slots(budget.slots);
    if (traits().across_layers) return together(layers, slots);
    const std::size_t n_kv_heads = layers.front().n_kv_heads();
    std::vector<KeptSlots> kept;
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      const auto of_layer = slots.subspan(layer * n_kv_heads, n_kv_heads);
      kept.push_back(together(layers.subspan(layer, 1), of_layer).front());
    }
    return kept;
  }

 private:
  std::vector<KeptSlots> together(std::span<const TokenScores> layers,
                                  std::span<const std::size_t> slots) const {
    const std::size_t total = std::accumulate(slots.begin(), slots.end(), std::size_t{0});
    return top_slots_together(layers, total, n_safe(*std::min_element(slots.begin(), slots.end())));
  }

  /// At least one, unless the share is 0: a head without keys has no attention.
  std::size_t n_safe(std::size_t per_head) const {
    if (safe_share_ == 0) return 0;
    const auto share = static_cast<std::size_t>(static_cast<double>(per_head) * safe_share_);
    return std::min(per_head, std::max(std::size_t{1}, share));
  }

  double safe_share_;
};

}  // namespace

/// Options: alpha 0.2, the share of the budget that every KV head is sure of; over: layer (model),
/// the heads that one budget is for.
std::unique_ptr<Policy> make_adakv(PolicyOptions& options, std::unique_ptr<Policy> scorer) {
  constexpr std::array<std::string_view, 2> kOver{"layer", "model"};
  PolicyTraits traits = scorer->traits();
  traits.joint_heads = false;
  traits.across_layers = options.choice("over", kOver) == 1;
  return std::make_unique<AdaKv>(traits, std::move(scorer), options.real("alpha", 0.2, 0, 1));
}

}  // namespace longshadow
