#include <catch2/catch.hpp>
#include <numeric>

#include "engine/checkpoint/checkpoint.h"
#include "engine/config/rotary_frequencies.h"
#include "engine/model/full_pass.h"
#include "engine/model/layer_walk.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/norm/rms_norm.h"
#include "tests/support/larger.h"
#include "tests/support/random_matrix.h"
#include "tests/support/tiny_models.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::TinyModel;

FullPass read(Cpu& cpu, const Weights& weights, const std::vector<std::int32_t>& tokens) {
  return run_full_pass(cpu, weights, std::span<const std::int32_t>(tokens),
                       std::span<LayerObserver* const>(), {});
}

template <class T>
void check_logits(const TinyModel& model) {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(model.path);
  const Weights weights = load_weights(cpu, *checkpoint, element_of<T>());
  const auto tokens = model.expected["token_ids"].get<std::vector<std::int32_t>>();
  const FullPass full = read(cpu, weights, tokens);

  const auto positions = model.expected["logits_positions"].get<std::vector<std::size_t>>();
  const auto expected = model.expected["logits"].get<std::vector<std::vector<double>>>();
  double magnitude = 0;
  for (const auto& row : expected) {
    for (const double logit : row) magnitude = test::larger(magnitude, std::abs(logit));
  }
  const double tolerance =
      sizeof(T) == 8 ? model.f64_tolerance
                     : test::f32_logit_tolerance(weights.config, tokens.size(), magnitude);
  double largest = 0;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const twin::Row hidden = twin::row(test::row_of<T>(full.hidden.view(), positions[i]));
    REQUIRE(expected[i].size() == weights.config.vocab_size);
    for (std::size_t v = 0; v < expected[i].size(); ++v) {
      const twin::Row direction = twin::row(test::row_of<T>(weights.head.output, v));
      largest = test::larger(
          largest, std::abs(capped_logit(twin::dot(hidden, direction), weights.head.logit_cap) -
                            expected[i][v]));
    }
  }
  CHECK(largest <= tolerance);

  const auto argmax = model.expected["logits_argmax"].get<std::vector<std::int32_t>>();
  CHECK(full.likeliest == argmax);
}

TEMPLATE_TEST_CASE("logits are those of transformers in float64", "", double, float) {
  for (const TinyModel& model : test::tiny_models()) {
    DYNAMIC_SECTION(model.path.filename().string()) { check_logits<TestType>(model); }
  }
}

class NoCache final : public LayerCache {
 public:
  explicit NoCache(const ModelConfig& config)
      : empty_(host_memory(), Element::f64, config.n_layers, config.n_kv_heads, 0,
               config.head_dim) {}
  KeysValuesView enter(std::size_t layer, RowBatch&) override { return empty_.layer(layer); }

 private:
  KvCache empty_;
};

/// Final hidden states, from one batch of rows that sees no prefix: no chunks and no cache.
Matrix<double> hidden_in_one_batch(Cpu& cpu, const Weights& weights,
                                   const std::vector<std::int32_t>& tokens) {
  const ModelConfig& config = weights.config;
  RowBatch batch;
  batch.positions.resize(round_up(tokens.size(), kRowTile));
  std::iota(batch.positions.begin(),
            batch.positions.begin() + static_cast<std::ptrdiff_t>(tokens.size()), 0u);
  batch.streams = {{0, tokens.size(), 0}};
  const RotaryTables rotary(cpu, element_of<double>(), layer_frequencies(config, tokens.size()),
                            tokens.size());
  Matrix<double> hidden(cpu.memory(), batch.padded_rows(), config.hidden_size);
  NoCache nothing(config);
  LayerWalk(cpu, weights, batch.padded_rows()).run(tokens, batch, rotary, nothing, hidden.view());
  return hidden;
}

// 1100 tokens are two whole chunks and a part: what a chunk reads from the cache is what the one
// batch computes itself. Hidden states are of size 1 to 10.
TEST_CASE("a document in chunks is the document as a whole") {
  Cpu cpu(2);
  const auto checkpoint = open_checkpoint(test::kTinyModels / "qwen2");
  const Weights weights = load_weights(cpu, *checkpoint, element_of<double>());
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 1100; ++i) tokens.push_back(i * 37 % 320);
  const FullPass full = read(cpu, weights, tokens);
  const Matrix<double> whole = hidden_in_one_batch(cpu, weights, tokens);
  double largest = 0;
  const double* const in_chunks = full.hidden.view().as<double>().data;
  for (std::size_t i = 0; i < tokens.size() * weights.config.hidden_size; ++i) {
    largest = test::larger(largest, std::abs(in_chunks[i] - whole.data()[i]));
  }
  CHECK(largest <= 1e-12);
}

}  // namespace
}  // namespace longshadow
