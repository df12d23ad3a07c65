#include "probes/policy_choice.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "engine/backend/cuda/cuda.h"
#include "engine/core/error.h"
#include "engine/policy/registry.h"
#include "probes/interrupt.h"

namespace longshadow {

namespace {

/// Where programs keep what can be made again.
std::filesystem::path cache_folder() {
  const auto of = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const std::filesystem::path cache = of("XDG_CACHE_HOME");
  return (cache.is_absolute() ? cache : std::filesystem::path(of("HOME")) / ".cache") /
         "longshadow";
}

/// Says what makes a learnt file, as PolicyModel::recipe does.
std::string how_to_learn(const std::string& ranking) {
  return "longshadow probe --method sketch --detail head --document A.txt B.txt -o by_head.h5, "
         "then longshadow learn " +
         (ranking.empty() ? "ranking by_head.h5" : "budgets by_head.h5 --ranking " + ranking);
}

}  // namespace

PolicyModel policy_model(const Checkpoint& checkpoint) {
  return {checkpoint.config().n_layers, checkpoint.config().n_kv_heads,
          [&checkpoint] { return checkpoint.weights_sha256(); }, cache_folder(), how_to_learn};
}

Policies make_policies(std::span<const std::string> texts, std::size_t n_sinks,
                       const PolicyModel& model) {
  Policies policies;
  for (const std::string& text : texts) {
    policies.push_back(make_policy(text, model));
    policies.back()->protect_sinks(n_sinks);
  }
  return policies;
}

std::vector<PolicyTraits> traits_of(const Policies& policies) {
  std::vector<PolicyTraits> traits;
  for (const auto& policy : policies) traits.push_back(policy->traits());
  return traits;
}

bool need_queries(const Policies& policies) {
  return std::any_of(policies.begin(), policies.end(),
                     [](const auto& policy) { return policy->traits().queries; });
}

std::vector<std::string> files_of(const Policies& policies) {
  std::vector<std::string> files;
  for (const auto& policy : policies) {
    const std::vector<std::string>& read = policy->traits().files_sha256;
    files.insert(files.end(), read.begin(), read.end());
  }
  return files;
}

template <class Device, class T>
std::vector<std::vector<KeptSlots>> choose_slots(const Policies& policies,
                                                 std::span<const PolicyAtShare> choices,
                                                 const FullPass<T>& full,
                                                 PolicyInputs<Device, T>& inputs,
                                                 const MeasuredInfluence& influence,
                                                 std::uint64_t seed, Progress& progress) {
  std::vector<std::vector<TokenScores>> scores(policies.size());  // by layer
  for (std::size_t layer = 0; layer < full.cache.n_layers(); ++layer) {
    inputs.show(full, layer);
    for (std::size_t p = 0; p < policies.size(); ++p) {
      check_interrupt();
      const PolicyTraits& traits = policies[p]->traits();
      LayerView view = inputs.view(traits);
      view.influence = influence.of(traits, view.place);
      view.seed = seed;
      scores[p].push_back(protected_scores(*policies[p], view));
    }
    progress.update(layer + 1);
  }
  std::vector<std::vector<KeptSlots>> kept;
  for (const PolicyAtShare& choice : choices) {
    kept.push_back(keep(*policies[choice.policy], scores[choice.policy], choice.share));
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
