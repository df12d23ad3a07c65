#include <algorithm>
#include <limits>

#include "engine/policy/policies.h"
#include "engine/policy/top_slots.h"
#include "engine/policy/wrapper.h"

namespace longshadow {
namespace {

/// One budget for the layer's KV heads together, spent where the scores are highest, with a share
/// that every head is sure of (Feng et al. 2024, Ada-KV: Optimizing KV Cache Eviction by Adaptive
/// Budget Allocation, arXiv 2407.11550). The heads then keep different numbers of slots.
class AdaKv final : public Wrapper {
 public:
  AdaKv(const PolicyTraits& traits, std::unique_ptr<Policy> scorer, double safe_share)
      : Wrapper(traits, std::move(scorer)), safe_share_(safe_share) {}

  KeptSlots select(const TokenScores& scores, const LayerPlace& place,
                   double compression) const override {
    const std::size_t per_head = budget(place, scores.n(), compression);
    TokenScores ranked = scores;
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (const std::size_t slot : top_slots(scores.head(head), n_safe(per_head))) {
        ranked.head(head)[slot] = std::numeric_limits<double>::infinity();
      }
    }
    KeptSlots kept{scores.n(), std::vector<std::vector<std::uint32_t>>(scores.n_kv_heads())};
    for (const std::size_t slot : top_slots(ranked.all_heads(), scores.n_kv_heads() * per_head)) {
      kept.by_head[slot / scores.n()].push_back(static_cast<std::uint32_t>(slot % scores.n()));
    }
    return kept;
  }

 private:
  /// At least one, unless the share is 0: a head without keys has no attention.
  std::size_t n_safe(std::size_t per_head) const {
    if (safe_share_ == 0) return 0;
    const auto share = static_cast<std::size_t>(static_cast<double>(per_head) * safe_share_);
    return std::min(per_head, std::max(std::size_t{1}, share));
  }

  double safe_share_;
};

}  // namespace

/// Options: alpha 0.2, the share of the budget that every KV head is sure of.
std::unique_ptr<Policy> make_adakv(PolicyOptions& options, std::unique_ptr<Policy> scorer) {
  PolicyTraits traits = scorer->traits();
  traits.joint_heads = false;
  return std::make_unique<AdaKv>(traits, std::move(scorer), options.real("alpha", 0.2, 0, 1));
}

}  // namespace longshadow
