#include "probes/decoding_compressor.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include "engine/model/checkpoint.h"
#include "engine/model/decoder.h"
#include "engine/policy/registry.h"
#include "probes/entropy_head.h"
#include "probes/policy_inputs.h"
#include "tests/support/tiny_models.h"

namespace longshadow {
namespace {

constexpr std::size_t kPrompt = 44, kEvery = 16, kTarget = 30;

/// One full pass over a text's first n tokens, and what a policy looks at of it.
struct Reading {
  PolicyInputs<Cpu, double> inputs;
  FullPass<double> full;

  Reading(Cpu& cpu, const Weights<double>& weights, std::span<const TokenId> tokens,
          const PolicyTraits& traits)
      : inputs(cpu, weights.config, tokens.size(), tokens.size(), std::span(&traits, 1)), full([&] {
          FullPassObserver<double>* const observer = &inputs;
          return run_full_pass(cpu, weights, tokens,
                               std::span<FullPassObserver<double>* const>(&observer, 1), {});
        }()) {
    inputs.set_entropy(
        EntropyHead<Cpu, double>(cpu, weights).entropies(cpu, full, tokens.size(), 20));
  }
};

/// What KV head `head` shows by itself.
LayerView one_head(const LayerView& view, std::size_t head) {
  LayerView one = view;
  one.keys = {view.keys.head(head).data, 1, view.keys.rows, view.keys.head_dim};
  one.values = {view.values.head(head).data, 1, view.values.rows, view.values.head_dim};
  if (view.attention.rows != 0) one.attention = view.attention.row_range(head, 1);
  return one;
}

// Nothing was evicted before the first cut, so what decoding gathered step by step is what one pass
// over the same text sees. In f64, that no two scores come near a tie by rounding.
TEST_CASE("the first cut keeps what the policy keeps of the whole text, head by head") {
  Cpu cpu(2);
  const auto weights =
      load_weights<double>(cpu, *open_checkpoint(test::kTinyModels / "llama_llama3"));
  const ModelConfig& config = weights.config;
  std::vector<TokenId> tokens;
  for (TokenId i = 0; i < static_cast<TokenId>(kPrompt + kEvery); ++i) {
    tokens.push_back(i * i * 37 % 320);
  }
  for (const char* name : {"infokv:window=8", "infokv:window=8,entropy=at", "snapkv:window=16",
                           "tova", "knorm", "lagkv:lag=8"}) {
    INFO(name);
    const auto policy = make_policy(name);
    Reading prompt(cpu, weights, std::span(tokens).first(kPrompt), policy->traits());
    TokenSignals signals;
    Compression everything;
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      prompt.inputs.show(prompt.full, layer);
      const LayerView view = prompt.inputs.view(policy->traits());
      signals.entropy.assign(view.entropy.begin(), view.entropy.end());
      signals.drift.emplace_back(view.drift.begin(), view.drift.end());
      std::vector<std::uint32_t> all(kPrompt);
      std::iota(all.begin(), all.end(), 0U);
      everything.layers.push_back({kPrompt, std::vector(config.n_kv_heads, all)});
    }
    GrowingCache<Cpu, double> cache(cpu, prompt.full.cache, everything, prompt.full.frequencies);
    DecodingCompressor<Cpu, double> compressor(cpu, config, *policy, {kEvery, kTarget}, signals, 0);
    FullPassObserver<double>* const observer = &compressor;
    Decoder<Cpu, double> decoder(cpu, weights, tokens.size());
    for (std::size_t i = kPrompt; i < tokens.size(); ++i) {
      CHECK(cache.tokens(0, 0).size() == i);
      const auto logits = decoder.step(tokens[i], i, cache, std::span(&observer, 1));
      compressor.after_step(logits, 20, cache);
    }

    Reading whole(cpu, weights, tokens, policy->traits());
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      whole.inputs.show(whole.full, layer);
      const LayerView view = whole.inputs.view(policy->traits());
      for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
        const double share = (kTarget + 0.5) / static_cast<double>(tokens.size());
        const auto expected = keep(*policy, one_head(view, head), share).by_head[0];
        CHECK(expected.size() == kTarget);
        CHECK(cache.tokens(layer, head) == expected);
      }
    }
  }
}

}  // namespace
}  // namespace longshadow
