#include "probes/experiments/policy_bench.h"

#include <algorithm>
#include <memory>
#include <random>

#include "engine/backend/device.h"
#include "engine/kv/compressed_cache.h"
#include "engine/policies/registry.h"
#include "probes/compression/compressor.h"
#include "probes/compression/policy_choice.h"
#include "probes/gather/entropy_head.h"
#include "probes/runs/timing.h"

namespace longshadow {
namespace {

constexpr std::size_t kRounds = 5;

/// Seconds of one prefill; `policy` null: alone.
double time_prefill(Device& device, const Weights& weights, const EntropyHead& entropy_head,
                    std::span<const TokenId> tokens, const Policy* policy, double share) {
  device.synchronize();
  Stopwatch watch;
  const std::size_t n = tokens.size();
  if (policy == nullptr) {
    prefill(device, weights, tokens, n, n - 1, nullptr);
  } else {
    Compressor compressor(device, weights, {policy}, {n, n});
    const FullPass full = compressor.prefill(tokens, n - 1);
    compressor.compute_entropy(entropy_head, full, kEntropyTopK);
    const PolicyAtShare choice{0, share};
    const auto compressions = compressor.compress(full, std::span(&choice, 1), {});
    const CompressedCache cache(device, full.cache, std::span(compressions), full.frequencies);
  }
  device.synchronize();
  return watch.lap();
}

}  // namespace

std::vector<PolicyPrefill> bench_policies(Device& device, const Checkpoint& checkpoint,
                                          std::size_t context,
                                          std::span<const std::string> policies, double share) {
  std::vector<std::unique_ptr<Policy>> made(1);  // the first, null: the prefill alone
  for (const std::string& text : policies) {
    made.push_back(make_policy(text, policy_model(checkpoint)));
    check_prompt(made.back()->traits(), context);
    check_windows(made.back()->traits(), checkpoint.config(), context);
  }
  const Weights weights = load_weights(device, checkpoint, Element::f32);
  const EntropyHead entropy_head(device, weights);
  std::mt19937_64 random(0);
  std::vector<TokenId> tokens(context);
  for (TokenId& token : tokens) {
    token = static_cast<TokenId>(random() % weights.config.vocab_size);
  }
  std::vector<std::vector<double>> seconds(made.size()), over_alone(made.size()),
      over_first(made.size());
  for (std::size_t round = 0; round <= kRounds; ++round) {
    for (std::size_t i = 0; i < made.size(); ++i) {
      const double took = time_prefill(device, weights, entropy_head, tokens, made[i].get(), share);
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

}  // namespace longshadow
