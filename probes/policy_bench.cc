#include "probes/policy_bench.h"

#include <algorithm>
#include <memory>
#include <random>

#include "engine/backend/cuda/cuda.h"
#include "engine/kv/compressed_cache.h"
#include "engine/policy/registry.h"
#include "probes/entropy_head.h"
#include "probes/policy_choice.h"
#include "probes/policy_inputs.h"
#include "probes/timing.h"

namespace longshadow {
namespace {

constexpr std::size_t kRounds = 5;

/// Seconds of one prefill; `policy` null: alone.
template <class Device>
double prefill(Device& device, const Weights<float>& weights,
               const EntropyHead<Device, float>& entropy_head, std::span<const TokenId> tokens,
               const Policy* policy, double share) {
  const ModelConfig& config = weights.config;
  device.synchronize();
  Stopwatch watch;
  FullPassOptions options;
  options.predict_from = tokens.size() - 1;
  if (policy == nullptr) {
    run_full_pass(device, weights, tokens, std::span<LayerObserver<float>* const>(), options);
  } else {
    PolicyInputs<Device, float> inputs(device, weights, tokens.size(), tokens.size(),
                                       std::span(&policy->traits(), 1));
    LayerObserver<float>* observer = &inputs;
    const FullPass<float> full = run_full_pass(
        device, weights, tokens, std::span<LayerObserver<float>* const>(&observer, 1), options);
    if (policy->traits().entropy) {
      inputs.set_entropy(entropy_head.entropies(device, full, tokens.size(), kEntropyTopK));
    }
    Compression compression{{}, policy->traits().rotates_keys};
    std::vector<TokenScores> scores;
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      inputs.show(full, layer);
      scores.push_back(protected_scores(*policy, inputs.view(policy->traits())));
    }
    compression.layers = keep(*policy, scores, share);
    const CompressedCache<float> cache(device, full.cache, std::span(&compression, 1),
                                       full.frequencies);
  }
  device.synchronize();
  return watch.lap();
}

}  // namespace

template <class Device>
std::vector<PolicyPrefill> bench_policies(Device& device, const Checkpoint& checkpoint,
                                          std::size_t context,
                                          std::span<const std::string> policies, double share) {
  std::vector<std::unique_ptr<Policy>> made(1);  // the first, null: the prefill alone
  for (const std::string& text : policies) {
    made.push_back(make_policy(text, policy_model(checkpoint)));
    check_prompt(made.back()->traits(), context);
  }
  const Weights<float> weights = load_weights<float>(device, checkpoint);
  const EntropyHead<Device, float> entropy_head(device, weights);
  std::mt19937_64 random(0);
  std::vector<TokenId> tokens(context);
  for (TokenId& token : tokens) {
    token = static_cast<TokenId>(random() % weights.config.vocab_size);
  }
  std::vector<std::vector<double>> seconds(made.size()), over_alone(made.size()),
      over_first(made.size());
  for (std::size_t round = 0; round <= kRounds; ++round) {
    for (std::size_t i = 0; i < made.size(); ++i) {
      const double took = prefill(device, weights, entropy_head, tokens, made[i].get(), share);
      if (round == 0) continue;  // the products' code is generated
      seconds[i].push_back(took);
      over_alone[i].push_back(took / seconds[0].back() - 1);
      over_first[i].push_back(took / seconds[std::min<std::size_t>(i, 1)].back() - 1);
    }
  }
  std::vector<PolicyPrefill> result;
  for (std::size_t i = 0; i < made.size(); ++i) {
    result.push_back({i == 0 ? "" : policies[i - 1], upper_median(seconds[i]),
                      upper_median(over_alone[i]), upper_median(over_first[i])});
  }
  return result;
}

template std::vector<PolicyPrefill> bench_policies(Cpu&, const Checkpoint&, std::size_t,
                                                   std::span<const std::string>, double);
template std::vector<PolicyPrefill> bench_policies(Cuda&, const Checkpoint&, std::size_t,
                                                   std::span<const std::string>, double);

}  // namespace longshadow
