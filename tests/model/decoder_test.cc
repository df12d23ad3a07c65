#include "engine/model/decoder.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/ops/common/logit_cap.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/tiny_models.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kContext = 40;

/// Everything that the next token sees but some slots of every head, more of some heads than of
/// others.
Compression all_but_some(const ModelConfig& config, bool ragged) {
  Compression compression;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    KeptSlots kept{kContext, {}, config.window(layer)};
    for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
      std::vector<std::uint32_t> slots;
      for (std::uint32_t slot = 0; slot < kContext; ++slot) {
        const bool removed = ragged && slot % 5 == layer + head && slot / 5 <= 3 + head;
        if (!removed) slots.push_back(slot);
      }
      kept.by_head.push_back(slots);
    }
    compression.layers.push_back(kept);
  }
  return compression;
}

FullPass read(Cpu& cpu, const Weights& weights, std::span<const std::int32_t> tokens) {
  return run_full_pass(cpu, weights, tokens, std::span<LayerObserver* const>{}, {});
}

/// The logits that the full pass has after position i, in double precision.
std::vector<double> logits_after(const FullPass& full, const Weights& weights, std::size_t i) {
  std::vector<double> logits;
  for (std::size_t v = 0; v < weights.config.vocab_size; ++v) {
    logits.push_back(
        capped_logit(twin::dot(twin::row(test::row_of<double>(full.hidden.view(), i)),
                               twin::row(test::row_of<double>(weights.head.output, v))),
                     weights.head.logit_cap));
  }
  return logits;
}

std::vector<std::int32_t> tokens_of(const std::string& model) {
  return nlohmann::json::parse(std::ifstream(test::kTinyModels / (model + ".json")))
      .at("token_ids")
      .get<std::vector<std::int32_t>>();
}

/// Both compute the same numbers in other tiles. Logits here are below 20 and pass through fewer
/// than 2,000 roundings of 1.1e-16 each.
void check_decoding(Cpu& cpu, const Weights& weights, const std::vector<std::int32_t>& tokens) {
  const ModelConfig& config = weights.config;
  const auto full = read(cpu, weights, tokens);
  FullPassOptions options;
  options.text_tokens = tokens.size();
  const auto prefilled = run_full_pass(cpu, weights, std::span(tokens).first(kContext),
                                       std::span<LayerObserver* const>{}, options);
  GrowingCache cache(cpu, prefilled.cache, all_but_some(config, false), prefilled.frequencies);
  Decoder decoder(cpu, weights, tokens.size());
  for (std::size_t i = kContext; i < tokens.size(); ++i) {
    const auto logits = test::row_of<double>(decoder.step(tokens[i], i, cache, {}));
    const std::vector<double> expected = logits_after(full, weights, i);
    for (std::size_t v = 0; v < expected.size(); ++v) {
      REQUIRE(std::abs(logits[v] - expected[v]) <= 2000 * 0x1p-53 * 20);
    }
  }
  std::size_t slots = 0;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    const std::size_t window = config.window(layer);
    slots += config.n_kv_heads * (window != 0 ? window - 1 : tokens.size());
  }
  CHECK(cache.bytes() == 2 * slots * config.head_dim * sizeof(double));
}

TEST_CASE("decoding on the whole cache is the full pass, in f64") {
  for (const std::string& name : test::kTinyModelNames) {
    DYNAMIC_SECTION(name) {
      Cpu cpu(2);
      check_decoding(
          cpu, load_weights(cpu, *open_checkpoint(test::kTinyModels / name), element_of<double>()),
          tokens_of(name));
    }
  }
}

TEST_CASE("under dynamic scaling a text is written with the frequencies that it is read with") {
  Cpu cpu(2);
  auto weights =
      load_weights(cpu, *open_checkpoint(test::kTinyModels / "llama_plain"), element_of<double>());
  const auto tokens = tokens_of("llama_plain");
  RopeConfig& rope = weights.config.rope;
  rope.scaling = RopeScaling::dynamic;
  rope.factor = 2;
  rope.original_context = 48;
  CHECK(read(cpu, weights, tokens).frequencies !=
        read(cpu, weights, std::span(tokens).first(kContext)).frequencies);
  check_decoding(cpu, weights, tokens);
}

/// A whole cache, of which each KV head's evicted slots are hidden.
class MaskedCache final : public LayerCache {
 public:
  MaskedCache(const KvCache& cache, const Compression& compression)
      : cache_(cache), compression_(compression) {}

  KeysValuesView enter(std::size_t layer, RowBatch& rows) override {
    ranges_ = compression_.layers[layer].removed();
    removed_.assign(ranges_.begin(), ranges_.end());
    rows.streams[0].removed = removed_;
    return cache_.layer(layer);
  }

 private:
  const KvCache& cache_;
  const Compression& compression_;
  std::vector<std::vector<Range>> ranges_;
  std::vector<RemovedColumns> removed_;
};

/// Keys and values are those of attention under a mask: the full pass's own rows, with what was
/// evicted hidden from the rows behind the context.
TEST_CASE("decoding on a ragged cache is decoding with the evicted slots hidden, in f64") {
  Cpu cpu(2);
  const auto weights =
      load_weights(cpu, *open_checkpoint(test::kTinyModels / "llama_llama3"), element_of<double>());
  const ModelConfig& config = weights.config;
  const std::vector<std::int32_t> tokens = [] {
    std::vector<std::int32_t> made_up;
    for (int i = 0; i < 60; ++i) made_up.push_back(i * 37 % 320);
    return made_up;
  }();
  const auto full = read(cpu, weights, tokens);
  const auto compression = all_but_some(config, true);
  GrowingCache cache(cpu, full.cache, compression, full.frequencies);
  Decoder decoder(cpu, weights, tokens.size());

  RowBatch rows;  // the twin: all rows behind the context at once, with removed columns
  const std::size_t n_rows = tokens.size() - kContext;
  rows.positions.resize(kRowTile);
  for (std::size_t r = 0; r < n_rows; ++r) {
    rows.positions[r] = static_cast<std::uint32_t>(kContext + r);
  }
  rows.streams.push_back({.first_row = 0, .n_rows = n_rows, .prefix = kContext});
  Matrix<double> hidden(cpu.memory(), kRowTile, config.hidden_size);
  MaskedCache masked(full.cache, compression);
  LayerWalk(cpu, weights, kRowTile)
      .run(std::span(tokens).subspan(kContext), rows, full.rotary, masked, hidden.view());
  for (std::size_t r = 0; r < n_rows; ++r) {
    const auto logits =
        test::row_of<double>(decoder.step(tokens[kContext + r], kContext + r, cache, {}));
    for (std::size_t v = 0; v < logits.size(); ++v) {
      const double expected =
          capped_logit(twin::dot(twin::row(hidden.row(r), config.hidden_size),
                                 twin::row(test::row_of<double>(weights.head.output, v))),
                       weights.head.logit_cap);
      REQUIRE(std::abs(logits[v] - expected) <= 2000 * 0x1p-53 * 20);
    }
  }
}

/// The logits behind each of the first steps on a cache that lacks some slots.
template <class T>
std::vector<double> logits_of_steps(Device& device, const std::string& name, std::size_t n_steps) {
  const auto weights =
      load_weights(device, *open_checkpoint(test::kTinyModels / name), element_of<T>());
  const ModelConfig& config = weights.config;
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < kContext + n_steps; ++i) {
    tokens.push_back(static_cast<std::int32_t>(i * i * 37 % config.vocab_size));
  }
  const auto prefilled =
      run_full_pass(device, weights, std::span<const std::int32_t>(tokens).first(kContext),
                    std::span<LayerObserver* const>{}, {});
  GrowingCache cache(device, prefilled.cache, all_but_some(config, true), prefilled.frequencies);
  Decoder decoder(device, weights, tokens.size());
  std::vector<double> all;
  for (std::size_t i = kContext; i < tokens.size(); ++i) {
    const auto logits = test::row_of<T>(decoder.step(tokens[i], i, cache, {}));
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

TEST_CASE("a CUDA device decodes as the processor does, in f64", "[host_cuda]") {
  test::UnderTest<Cuda> on;
  Cpu cpu(2);
  for (const std::string& name : test::kFewTinyModelNames) {
    const std::vector<double> here = logits_of_steps<double>(cpu, name, 4);
    const std::vector<double> there = logits_of_steps<double>(on.device, name, 4);
    REQUIRE(there.size() == here.size());
    for (std::size_t i = 0; i < here.size(); ++i) {
      REQUIRE(std::abs(there[i] - here[i]) <= 2 * 2000 * 0x1p-53 * 20);  // each of both, as above
    }
  }
}

}  // namespace
}  // namespace longshadow
