#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/model/decoder.h"
#include "engine/policies/registry.h"
#include "probes/compression/decoding_compressor.h"
#include "tests/support/devices.h"
#include "tests/support/tiny_models.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using Tokens = std::vector<std::uint32_t>;

constexpr std::size_t kPrompt = 20, kEvery = 16, kWindow = 4, kKernel = 7, kRatio = 4, kCuts = 3;
/// The last cut comes with the last token.
constexpr std::size_t kWritten = kWindow + kCuts * kEvery;

/// A text that has no token twice.
std::vector<TokenId> text() {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < kPrompt + kWritten; ++i) {
    tokens.push_back(static_cast<TokenId>((i * 37 + 11) % 320));
  }
  return tokens;
}

/// Every written token's queries [L][step][H] and keys [L][step][K], as the steps computed them.
struct StepRecorder final : LayerObserver {
  Device& device;
  const ModelConfig& config;
  std::vector<std::vector<twin::Rows>> queries, keys;

  StepRecorder(Device& on, const ModelConfig& of)
      : device(on), config(of), queries(of.n_layers), keys(of.n_layers) {}

  void after_attention(const Chunk&, std::size_t layer, const LayerActivations& activations,
                       ConstHeadsView, ConstTensorView) override {
    queries[layer].push_back(first_row(activations.queries(config)));
    keys[layer].push_back(first_row(activations.keys_values(config).keys));
  }

  /// [heads, d]
  twin::Rows first_row(ConstHeadsView heads) const {
    twin::Rows rows;
    for (std::size_t head = 0; head < heads.n_heads; ++head) {
      const Matrix<double> row = test::host_copy<double>(device, heads.head(head).row_range(0, 1));
      rows.push_back(twin::row(row.data(), row.cols()));
    }
    return rows;
  }
};

/// The rule once more, as it reads, of one layer: which tokens stay at a cut that comes when
/// `written` tokens were, where `slots` are the tokens that stayed so far. It knows the prompt's
/// number of tokens and nothing else of it.
Tokens twin_cut(const std::vector<twin::Rows>& queries, const std::vector<twin::Rows>& keys,
                const twin::ScoreForm& form, const Tokens& slots, std::size_t written,
                std::size_t count) {
  Tokens candidates;
  for (const std::uint32_t token : slots) {
    if (token >= kPrompt && token < kPrompt + written - kWindow) candidates.push_back(token);
  }
  const std::size_t n_heads = queries[0].size(), group = n_heads / keys[0].size();
  twin::Row sums(candidates.size());
  for (std::size_t step = written - kWindow; step < written; ++step) {
    for (std::size_t head = 0; head < n_heads; ++head) {
      twin::Rows seen;
      for (const std::uint32_t token : candidates) {
        seen.push_back(keys[token - kPrompt][head / group]);
      }
      const twin::Row weights = twin::attend(queries[step][head], seen, seen, form).weights;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i] += weights[i] / static_cast<double>(n_heads);
      }
    }
  }
  const auto pooled = [&](std::size_t i) {
    double sum = 0;
    for (std::size_t j = 0; j < sums.size(); ++j) {
      if (j + kKernel / 2 >= i && j <= i + kKernel / 2) sum += sums[j];
    }
    return sum / kKernel;
  };
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return pooled(a) > pooled(b); });
  Tokens kept(kPrompt);
  std::iota(kept.begin(), kept.end(), 0U);
  for (std::size_t i = 0; i < count; ++i) kept.push_back(candidates[order[i]]);
  for (std::size_t i = written - kWindow; i < written; ++i) {
    kept.push_back(static_cast<std::uint32_t>(kPrompt + i));
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

void check_cuts(Device& device, const std::string& model, const DecodingInterval& interval,
                const std::vector<std::size_t>& counts) {
  const auto weights =
      load_weights(device, *open_checkpoint(test::kTinyModels / model), element_of<double>());
  const ModelConfig& config = weights.config;
  const std::vector<TokenId> tokens = text();
  const FullPass full = run_full_pass(device, weights, std::span(tokens).first(kPrompt),
                                      std::span<LayerObserver* const>(), {});
  Tokens all(kPrompt);
  std::iota(all.begin(), all.end(), 0U);
  Compression everything;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    everything.layers.push_back(
        {kPrompt, std::vector(config.n_kv_heads, all), config.window(layer)});
  }
  GrowingCache cache(device, full.cache, everything, full.frequencies);

  const auto policy = make_policy("rpc:window=" + std::to_string(kWindow));
  policy->protect_sinks(kPrompt);
  check_decoding(*policy, interval, {config.n_layers, config.n_kv_heads}, kPrompt);
  DecodingCompressor compressor(device, weights, *policy, interval, {}, 0);
  StepRecorder steps(device, config);
  LayerObserver* const observers[] = {&compressor, &steps};
  Decoder decoder(device, weights, tokens.size());
  std::vector<Tokens> slots(config.n_layers, all);
  std::size_t n_evicted = 0;
  for (std::size_t written = 1; written <= kWritten; ++written) {
    const std::size_t token = kPrompt + written - 1, cut = compressor.cuts().count;
    const auto logits = decoder.step(tokens[token], token, cache, observers);
    compressor.after_step(logits, 20, cache);
    CHECK(compressor.cuts().count == (written < kWindow ? 0 : (written - kWindow) / kEvery));
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      slots[layer].push_back(static_cast<std::uint32_t>(token));
      if (const std::size_t window = config.window(layer); window != 0) {
        // Nobody cuts it, and it holds what the next token sees.
        const std::size_t held = std::min(window - 1, slots[layer].size());
        slots[layer].erase(slots[layer].begin(),
                           slots[layer].end() - static_cast<std::ptrdiff_t>(held));
      } else if (compressor.cuts().count != cut) {
        const std::size_t before = slots[layer].size();
        slots[layer] = twin_cut(steps.queries[layer], steps.keys[layer],
                                {config.attention_scale, config.attention_score_cap}, slots[layer],
                                written, counts[cut]);
        n_evicted += before - slots[layer].size();
      }
      CAPTURE(model, written, layer);
      for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
        CHECK(cache.tokens(layer, head) == slots[layer]);
      }
    }
  }
  CHECK(compressor.cuts().count == kCuts);
  CHECK(n_evicted > 0);
}

// In f64, where no two scores come near a tie by rounding.
void check_targets(Device& device) {
  for (const std::string& model : test::kFewTinyModelNames) {
    // A quarter of the tokens written before the window: of 16, 32 and 48.
    constexpr std::size_t kQuarter = kEvery / kRatio;
    check_cuts(device, model, {kEvery}, {kQuarter, 2 * kQuarter, 3 * kQuarter});
    // Of 40, 56 and 72 tokens so far 32, 44 and 57, of which 24 are the prompt and the window.
    check_cuts(device, model, {.every = kEvery, .target_share = 0.8}, {8, 20, 33});
    check_cuts(device, model, {.every = kEvery, .target = 34}, {10, 10, 10});
  }
}

TEST_CASE("rpc keeps what its rule says, cut after cut, the same in every head") {
  Cpu cpu(2);
  check_targets(cpu);
}

TEST_CASE("rpc keeps the same on a CUDA device", "[host_cuda]") {
  const test::InThreadOrder order(test::kThreadOrders.back());
  Cuda cuda;
  check_targets(cuda);
}

}  // namespace
}  // namespace longshadow
