#include "probes/gather/policy_inputs.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "engine/backend/cpu.h"
#include "engine/checkpoint/checkpoint.h"
#include "probes/gather/signals.h"
#include "probes/measure/probe_model.h"
#include "tests/support/probe_case.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kContext = 96;

/// Keeps every layer's rotated queries, [H, n, d].
template <class T>
class QueryRecorder final : public LayerObserver {
 public:
  QueryRecorder(const ModelConfig& config, std::size_t n) : config_(config), n_(n) {}

  void after_attention(const Chunk&, std::size_t, const LayerActivations& activations,
                       ConstHeadsView, ConstTensorView) override {
    std::vector<double>& layer = layers.emplace_back();
    for (std::size_t head = 0; head < config_.n_heads; ++head) {
      const T* rows = activations.queries(config_).head(head).template as<T>().data;
      layer.insert(layer.end(), rows, rows + n_ * config_.head_dim);
    }
  }

  std::vector<std::vector<double>> layers;

 private:
  const ModelConfig& config_;
  std::size_t n_;
};

TEMPLATE_TEST_CASE("Policies see what the pass computed", "", float, double) {
  using T = TestType;
  Cpu cpu(2);
  // Folders: llama_plain; llama_yarn, whose rotations make vectors longer; qwen3_yarn, whose heads
  // have norms before that; olmo2, whose norms are of all heads together;
  // smollm3, of which a layer has no rotary positions;
  // phi_longrope, whose heads are rotated in part.
  const test::TinyModel model = test::tiny_models()[GENERATE(0, 8, 12, 14, 16, 20)];
  const auto checkpoint = open_checkpoint(model.path);
  const ModelConfig& config = checkpoint->config();
  const auto ids = model.expected["token_ids"].get<std::vector<TokenId>>();
  const std::size_t n = ids.size();
  const ProbeModel loaded =
      load_probe_model(cpu, *checkpoint, sizeof(T) == 8 ? Precision::f64 : Precision::f32);

  const std::vector<PolicyTraits> traits{
      {.attention_queries = 1},
      {.attention_queries = kAttentionWindow, .window_queries = 7, .drift = true},
      {.attention_queries = kAllQueries, .queries = true, .entropy = true}};
  PolicyInputs inputs(cpu, loaded.weights, kContext, n, traits);
  SignalObserver signals(cpu, loaded.weights, n, kContext);
  QueryRecorder<T> queries(config, n);
  const std::array<LayerObserver*, 3> observers{&inputs, &signals, &queries};
  const FullPass full = run_full_pass(cpu, loaded.weights, std::span<const TokenId>(ids),
                                      std::span<LayerObserver* const>(observers), {});
  const std::vector<float> window = signals.attention_window();
  const std::vector<float> cumulative = signals.attention_cumulative();

  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    inputs.show(full, layer);
    const LayerView last = inputs.view(traits[0]);
    const LayerView recent = inputs.view(traits[1]);
    const LayerView all = inputs.view(traits[2]);
    const twin::Row frequencies(all.frequencies.begin(), all.frequencies.end());
    REQUIRE(all.n == kContext);
    REQUIRE(all.place.layer == layer);
    for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
      const KeysValues<const T> cache = full.cache.layer(layer).as<T>();
      for (std::size_t i = 0; i < kContext * config.head_dim; ++i) {
        REQUIRE(all.keys.head(head).data[i] == static_cast<float>(cache.keys.head(head).data[i]));
        REQUIRE(all.values.head(head).data[i] ==
                static_cast<float>(cache.values.head(head).data[i]));
      }
      const double* one_query = last.attention.row(head);
      // A softmax row sums to one, in f32 up to a rounding for each of its entries.
      CHECK(std::accumulate(one_query, one_query + kContext, 0.0) ==
            Approx(1).epsilon(kContext * 0x1p-24));
      for (std::size_t j = 0; j < kContext; ++j) {
        const std::size_t at = (layer * config.n_kv_heads + head) * n + j;
        // The signals are these sums as shares. Both add up to kContext terms above 0, in orders of
        // their own, and the signals are rounded to f32.
        constexpr double kSums = (2 * kContext + 1) * 0x1p-24;
        CHECK(recent.attention.row(head)[j] / kAttentionWindow ==
              Approx(window[at]).epsilon(kSums));
        CHECK(all.attention.row(head)[j] / double(kContext - j) ==
              Approx(cumulative[at]).epsilon(kSums));
      }
    }
    REQUIRE(recent.window_queries.n_heads == config.n_heads);
    REQUIRE(recent.window_queries.rows == 7);
    for (std::size_t head = 0; head < config.n_heads; ++head) {
      const auto rows = queries.layers[layer].begin() +
                        static_cast<std::ptrdiff_t>((head * n + kContext - 7) * config.head_dim);
      const float* found = recent.window_queries.head(head).data;
      for (std::size_t i = 0; i < 7 * config.head_dim; ++i) {
        REQUIRE(found[i] == static_cast<float>(rows[static_cast<std::ptrdiff_t>(i)]));
      }
    }
    for (std::size_t j = 0; j < kContext; ++j) {
      // The signal is of the layer's input, which the layer before left behind.
      CHECK(recent.drift[j] ==
            (layer + 1 < config.n_layers ? signals.drift()[(layer + 1) * n + j] : 0));
    }
    for (std::size_t head = 0; head < config.n_heads; ++head) {
      for (std::size_t j = 0; j < kContext; ++j) {
        const auto plain = twin::row(all.queries.row(j) + head * config.head_dim, config.head_dim);
        const auto rotated = twin::rotate(plain, frequencies, j);
        for (std::size_t i = 0; i < config.head_dim; ++i) {
          const double expected = queries.layers[layer][(head * n + j) * config.head_dim + i];
          // Rotated there, back, and rounded to f32: some units of the pair's length.
          const std::size_t pair = (i + config.head_dim / 2) % config.head_dim;
          const double length = std::abs(plain[i]) + std::abs(plain[pair]);
          CHECK(std::abs(rotated[i] - expected) <= 16 * 0x1p-24 * length);
        }
      }
    }
  }
}

}  // namespace
}  // namespace longshadow
