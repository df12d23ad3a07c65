#include "probes/compression/decoding_compressor.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/model/decoder.h"
#include "engine/policies/registry.h"
#include "probes/gather/entropy_head.h"
#include "probes/gather/policy_inputs.h"
#include "tests/support/keep_layer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_models.h"

namespace longshadow {
namespace {

constexpr CacheShape kShape{3, 2};
constexpr std::size_t kPrompt = 44, kEvery = 16, kTarget = 30;

/// One full pass over a text's first n tokens, and what a policy looks at of it.
struct Reading {
  PolicyInputs inputs;
  FullPass full;

  Reading(Cpu& cpu, const Weights& weights, std::span<const TokenId> tokens,
          const PolicyTraits& traits)
      : inputs(cpu, weights, tokens.size(), tokens.size(), std::span(&traits, 1)), full([&] {
          LayerObserver* const observer = &inputs;
          return run_full_pass(cpu, weights, tokens, std::span<LayerObserver* const>(&observer, 1),
                               {});
        }()) {
    inputs.set_entropy(EntropyHead(cpu, weights).entropies(cpu, full, tokens.size(), 20));
  }
};

/// What KV head `head` shows by itself.
LayerView one_head(const LayerView& view, std::size_t head) {
  LayerView one = view;
  one.keys = {view.keys.head(head).data, 1, view.keys.rows, view.keys.head_dim};
  one.values = {view.values.head(head).data, 1, view.values.rows, view.values.head_dim};
  if (view.attention.rows != 0) one.attention = view.attention.row_range(head, 1);
  const std::size_t group = view.window_queries.n_heads / view.keys.n_heads;
  one.window_queries = {view.window_queries.head(head * group).data, group,
                        view.window_queries.rows, view.window_queries.head_dim};
  one.first_kv_head = head;
  if (view.output_gram.n_heads != 0) one.output_gram = view.output_gram.part(head, 1, 0);
  return one;
}

/// A ranking by what needs no window, which goes by other weights in every head; and its model.
PolicyModel write_ranking(const ModelConfig& config, const std::filesystem::path& path) {
  nlohmann::json weights;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    nlohmann::json heads = nlohmann::json::array();
    for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
      const double sign = (layer + head) % 2 == 0 ? 1 : -1;
      heads.push_back({0.1, sign, -0.5 * sign, 0.0});
    }
    weights.push_back(heads);
  }
  const std::string digest(64, 'a');
  std::ofstream(path) << nlohmann::json{
      {"format", "longshadow ranking"},
      {"format_version", 1},
      {"model", {{"weights_sha256", digest}}},
      {"layers", config.n_layers},
      {"kv_heads", config.n_kv_heads},
      {"features", nlohmann::json::array({"distance", "output_norm", "key_cosine"})},
      {"weights", weights}};
  return {config.n_layers, config.n_kv_heads, [digest] { return digest; }, {}};
}

// Nothing was evicted before the first cut, so what decoding gathered step by step is what one pass
// over the same text sees. In f64, that no two scores come near a tie by rounding.
TEST_CASE("the first cut keeps what the policy keeps of the whole text") {
  Cpu cpu(2);
  const auto weights =
      load_weights(cpu, *open_checkpoint(test::kTinyModels / "llama_llama3"), element_of<double>());
  const ModelConfig& config = weights.config;
  std::vector<TokenId> tokens;
  for (TokenId i = 0; i < static_cast<TokenId>(kPrompt + kEvery); ++i) {
    tokens.push_back(i * i * 37 % 320);
  }
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "ranking.json";
  const PolicyModel model = write_ranking(config, file);
  for (const std::string& name :
       {std::string("infokv:window=8"), std::string("infokv:window=8,entropy=at"),
        std::string("snapkv:window=16"), std::string("dropkv:window=8"), std::string("tova"),
        std::string("knorm"), std::string("lagkv:lag=8"), "learned:" + file.string()}) {
    INFO(name);
    const auto policy = make_policy(name, model);
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
    GrowingCache cache(cpu, prompt.full.cache, everything, prompt.full.frequencies);
    DecodingCompressor compressor(cpu, weights, *policy, {kEvery, kTarget}, signals, 0);
    LayerObserver* const observer = &compressor;
    Decoder decoder(cpu, weights, tokens.size());
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
        const auto expected =
            policy->traits().joint_heads
                ? test::keep_layer(*policy, view, share).by_head[head]
                : test::keep_layer(*policy, one_head(view, head), share).by_head[0];
        CHECK(expected.size() == kTarget);
        CHECK(cache.tokens(layer, head) == expected);
      }
    }
  }
}

/// The cache of a prompt of which nothing was evicted, and zeros for its signals: of `tokens` all
/// but the first kPrompt are read step by step, and `after` is called behind each.
void write_behind(const Policy& policy, const DecodingInterval& interval,
                  std::span<const TokenId> tokens,
                  const std::function<void(std::size_t, const GrowingCache&)>& after) {
  Cpu cpu(2);
  const auto weights =
      load_weights(cpu, *open_checkpoint(test::kTinyModels / "llama_llama3"), element_of<double>());
  const ModelConfig& config = weights.config;
  const FullPass full =
      run_full_pass(cpu, weights, tokens.first(kPrompt), std::span<LayerObserver* const>(), {});
  std::vector<std::uint32_t> all(kPrompt);
  std::iota(all.begin(), all.end(), 0U);
  Compression everything;
  everything.layers.assign(config.n_layers, {kPrompt, std::vector(config.n_kv_heads, all)});
  GrowingCache cache(cpu, full.cache, everything, full.frequencies);
  const TokenSignals signals{std::vector<float>(kPrompt),
                             std::vector(config.n_layers, std::vector<float>(kPrompt))};
  DecodingCompressor compressor(cpu, weights, policy, interval, signals, 0);
  LayerObserver* const observer = &compressor;
  Decoder decoder(cpu, weights, tokens.size());
  for (std::size_t i = kPrompt; i < tokens.size(); ++i) {
    compressor.after_step(decoder.step(tokens[i], i, cache, std::span(&observer, 1)), 20, cache);
    after(i + 1, cache);
  }
}

TEST_CASE("a target share leaves so many of the tokens so far, with sinks and window") {
  const auto policy = make_policy("infokv:window=8,n_sink=4");
  const DecodingInterval interval{.every = kEvery, .target_share = 0.35};
  check_decoding(*policy, interval, kShape, kPrompt);
  std::vector<TokenId> tokens(kPrompt + 3 * kEvery);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i * 37 % 320);
  std::vector<std::size_t> lengths;
  std::size_t n_different = 0;
  write_behind(*policy, interval, tokens, [&](std::size_t n, const auto& cache) {
    if ((n - kPrompt) % kEvery != 0) return;
    lengths.push_back(cache.tokens(0, 0).size());
    for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
      for (std::size_t head = 0; head < 2; ++head) {
        const std::vector<std::uint32_t>& kept = cache.tokens(layer, head);
        REQUIRE(kept.size() == lengths.back());
        for (std::size_t i = 0; i < 4; ++i) CHECK(kept[i] == i);
        for (std::size_t i = 0; i < 8; ++i) CHECK(kept[kept.size() - 1 - i] == n - 1 - i);
      }
      n_different += cache.tokens(layer, 0) != cache.tokens(layer, 1);
    }
  });
  CHECK(lengths == std::vector<std::size_t>{21, 26, 32});  // of 60, 76 and 92
  CHECK(n_different > 0);
}

TEST_CASE("a cut leaves each head what its budget is, of the highest scores") {
  // By twice the mean for one head of each layer, and as much less for the other.
  class Uneven final : public Policy {
   public:
    using Policy::Policy;
    TokenScores scores(const LayerView& view) const override {
      TokenScores scores(view.keys.n_heads, view.n);
      for (std::size_t i = 0; i < view.n; ++i) {
        scores.head(0)[i] = static_cast<double>(view.token(i) * 37 % 101);
      }
      return scores;
    }
    std::vector<std::size_t> budget(const CacheShape&, std::size_t n,
                                    double compression) const override {
      const std::size_t mean = n_kept(n, compression);
      return {mean + mean / 2, mean - mean / 2, mean - mean / 4, mean + mean / 4, mean, mean};
    }
  };
  const Uneven policy{PolicyTraits{}};
  const DecodingInterval interval{kEvery, kTarget};
  check_decoding(policy, interval, kShape, kPrompt);
  std::vector<TokenId> tokens(kPrompt + 2 * kEvery);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i * 37 % 320);
  write_behind(policy, interval, tokens, [&](std::size_t n, const auto& cache) {
    if ((n - kPrompt) % kEvery != 0) return;
    const std::size_t wanted[] = {45, 15, 23, 37, 30, 30};
    for (std::size_t head = 0; head < std::size(wanted); ++head) {
      std::vector<std::uint32_t> kept = cache.tokens(head / 2, head % 2);
      REQUIRE(kept.size() == wanted[head]);
      if (n != kPrompt + kEvery) continue;  // of later cuts, those that stayed at this one
      std::vector<std::uint32_t> highest(n);
      std::iota(highest.begin(), highest.end(), 0U);
      std::sort(highest.begin(), highest.end(),
                [](auto a, auto b) { return a * 37 % 101 > b * 37 % 101; });
      highest.resize(kept.size());
      std::sort(highest.begin(), highest.end());
      CHECK(kept == highest);
    }
  });
  const auto across = make_policy("adakv:over=model/knorm");
  CHECK_THROWS_WITH(check_decoding(*across, interval, kShape, kPrompt),
                    Catch::Contains("divides slots between layers"));
}

TEST_CASE("what a cut leaves: a count, a share of the tokens so far, or the policy's own rule") {
  const auto infokv = make_policy("infokv");
  CHECK(slots_after_cut(*infokv, {1024, 300}, 5000, 3) == 300);
  const auto of_share = [&](double share, std::size_t n) {
    return slots_after_cut(*infokv, {.every = 1024, .target_share = share}, n, 0);
  };
  CHECK(of_share(0.25, 1027) == 256);
  CHECK(of_share(0.29, 100) == 29);  // in IEEE double the product is 28.999999999999996
  CHECK(of_share(0.29, 99) == 28);
  CHECK(of_share(0.999999, 1000000) == 999999);
  CHECK(of_share(0.9999995, 1000000) == 999999);

  const auto rpc = make_policy("rpc");
  rpc->protect_sinks(100);
  CHECK(steps_to_first_cut(rpc->traits(), {1024}) == 1024 + 32);
  CHECK(steps_to_first_cut(infokv->traits(), {1024}) == 1024);
  CHECK(slots_after_cut(*rpc, {1024}, 100 + 1056, 0) == 100 + 32 + 256);
  CHECK(slots_after_cut(*rpc, {1024}, 100 + 32 + 5 * 1024, 4) == 100 + 32 + 5 * 256);
  const auto sparse = make_policy("chunkkv/rpc:ratio=5,window=16");
  sparse->protect_sinks(10);
  CHECK(slots_after_cut(*sparse, {512}, 10 + 16 + 1024, 1) == 10 + 16 + 2 * 102);
}

}  // namespace
}  // namespace longshadow
