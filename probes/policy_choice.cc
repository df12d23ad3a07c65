#include "probes/policy_choice.h"

#include <charconv>

#include "engine/backend/cuda/cuda.h"
#include "engine/core/error.h"
#include "engine/policy/registry.h"
#include "probes/interrupt.h"

namespace longshadow {

Policies make_policies(std::span<const std::string> texts, std::size_t n_sinks) {
  Policies policies;
  for (const std::string& text : texts) {
    policies.push_back(make_policy(text));
    policies.back()->protect_sinks(n_sinks);
  }
  return policies;
}

std::vector<PolicyTraits> traits_of(const Policies& policies) {
  std::vector<PolicyTraits> traits;
  for (const auto& policy : policies) traits.push_back(policy->traits());
  return traits;
}

double parse_budget(const std::string& text, const std::string& option) {
  double share = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (failure != std::errc() || end != text.data() + text.size() || !(share > 0 && share <= 1)) {
    throw UsageError(option + ": expected the share of the cache to keep, above 0 and at most 1, " +
                     "as in 0.4, found \"" + text + "\"");
  }
  return share;
}

template <class Device, class T>
std::vector<std::vector<KeptSlots>> choose_slots(const Policies& policies,
                                                 std::span<const PolicyAtShare> choices,
                                                 const FullPass<T>& full,
                                                 PolicyInputs<Device, T>& inputs,
                                                 const MeasuredInfluence& influence,
                                                 std::uint64_t seed, Progress& progress) {
  std::vector<std::vector<KeptSlots>> kept(choices.size());
  for (std::size_t layer = 0; layer < full.cache.n_layers(); ++layer) {
    inputs.show(full, layer);
    for (std::size_t p = 0; p < policies.size(); ++p) {
      check_interrupt();
      LayerView view = inputs.view(policies[p]->traits());
      view.influence = influence.of(policies[p]->traits().influence);
      view.seed = seed;
      const TokenScores scores = protected_scores(*policies[p], view);
      for (std::size_t c = 0; c < choices.size(); ++c) {
        if (choices[c].policy != p) continue;
        kept[c].push_back(policies[p]->select(scores, view.place, 1 - choices[c].share));
      }
    }
    progress.update(layer + 1);
  }
  return kept;
}

#define LONGSHADOW_INSTANTIATE(Device, T)                                  \
  template std::vector<std::vector<KeptSlots>> choose_slots(               \
      const Policies&, std::span<const PolicyAtShare>, const FullPass<T>&, \
      PolicyInputs<Device, T>&, const MeasuredInfluence&, std::uint64_t, Progress&);
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
