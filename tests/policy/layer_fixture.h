#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/io/mapped_file.h"
#include "engine/io/safetensors.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/attention_statistics/attention_received.h"
#include "engine/ops/projection/rotary.h"
#include "engine/policy/policy.h"
#include "engine/quantization/dequantize.h"

/// What tests/parity/make_policy_fixtures.py wrote.
namespace longshadow::test {

inline const std::filesystem::path kPolicyFixtures = LONGSHADOW_FIXTURES "/policies";

/// A prefilled cache's layers, and what kvpress kept of them.
class PolicyFixture {
 public:
  explicit PolicyFixture(const std::filesystem::path& folder)
      : kept(nlohmann::json::parse(std::ifstream(folder / "kept.json"))),
        n(kept["n"]),
        n_layers(kept["n_layers"]),
        shape{kept["n_heads"], kept["n_kv_heads"], kept["head_dim"]},
        frequencies(kept["frequencies"].get<std::vector<double>>()),
        file_(folder / "inputs.safetensors"),
        tensors_(parse_safetensors(file_.bytes(), file_.path().string()).tensors) {}

  nlohmann::json kept;
  std::size_t n;
  std::size_t n_layers;
  AttentionShape shape;
  std::vector<double> frequencies;

  std::vector<float> tensor(std::size_t layer, const std::string& name) const {
    const StoredTensor* found =
        find_tensor(tensors_, "layer." + std::to_string(layer) + "." + name);
    std::vector<float> values(found->elements());
    dequantize(*found, 0, values);
    return values;
  }

 private:
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
};

/// One layer of the fixture, with the signals that kvpress has no part in made up.
class LayerFixture {
 public:
  LayerFixture(Cpu& cpu, const PolicyFixture& fixture, std::size_t layer)
      : cpu_(cpu),
        fixture_(fixture),
        place_{layer, fixture.n_layers},
        keys_(heads(layer, "keys")),
        values_(heads(layer, "values")),
        queries_(fixture.tensor(layer, "queries")),
        rotated_queries_(cpu.memory(), fixture.shape.n_heads * head_rows(), head_dim()),
        log_normalisers_(cpu.memory(), fixture.n, fixture.shape.n_heads),
        received_(cpu.memory(), fixture.shape.n_kv_heads, fixture.n) {
    std::vector<std::uint32_t> positions(fixture.n);
    std::iota(positions.begin(), positions.end(), 0u);
    const auto table = make_rotary_table(cpu, element_of<float>(), fixture.frequencies, fixture.n);
    rotate_heads(RotaryView(table).as<float>(), positions, queries(),
                 as_heads(rotated_queries_.view(), fixture.shape.n_heads));

    Matrix<float> out(cpu.memory(), fixture.n, queries().cols);
    const KeysValuesView own{key_heads(), value_heads()};
    const Stream whole{0, fixture.n, 0};
    attention(cpu, fixture.shape, rotated_queries(), own, own, std::span(&whole, 1), out.view(),
              log_normalisers_.view());
    for (std::size_t i = 0; i < fixture.n; ++i) {
      entropy.push_back(static_cast<float>(1 + i * 37 % 101) / 20);
      drift.push_back(static_cast<float>(1 + i * 53 % 97) / 100);
      influence.push_back(static_cast<double>(i * 71 % fixture.n));
    }
  }

  std::vector<float> entropy, drift;
  std::vector<double> influence;

  /// What a policy of these traits is given; valid until the next call.
  LayerView view(const PolicyTraits& traits) {
    if (traits.attention_queries > 0) receive(std::min(traits.attention_queries, fixture_.n));
    if (traits.window_queries > 0) take_window(std::min(traits.window_queries, fixture_.n));
    return {.place = place_,
            .n = fixture_.n,
            .keys = key_heads(),
            .values = value_heads(),
            .queries = queries(),
            .frequencies = fixture_.frequencies,
            .window_queries = as_heads(window_.view(), fixture_.shape.n_heads),
            .attention = std::as_const(received_).view(),
            .entropy = entropy,
            .drift = drift,
            .influence = influence};
  }

 private:
  std::size_t head_dim() const { return fixture_.shape.head_dim; }
  std::size_t head_rows() const { return fixture_.n + kRowTile; }
  HeadRows<const float> key_heads() const {
    return as_heads(keys_.view(), fixture_.shape.n_kv_heads);
  }
  HeadRows<const float> value_heads() const {
    return as_heads(values_.view(), fixture_.shape.n_kv_heads);
  }
  HeadRows<const float> rotated_queries() const {
    return as_heads(rotated_queries_.view(), fixture_.shape.n_heads);
  }
  MatrixView<const float> queries() const {
    const std::size_t width = fixture_.shape.n_heads * head_dim();
    return {queries_.data(), fixture_.n, width, width};
  }

  /// [K, n, d] with the slack rows that the ops ask for.
  Matrix<float> heads(std::size_t layer, const std::string& name) const {
    const std::vector<float> dense = fixture_.tensor(layer, name);
    const std::size_t elements = fixture_.n * head_dim();
    Matrix<float> padded(cpu_.memory(), fixture_.shape.n_kv_heads * head_rows(), head_dim());
    for (std::size_t head = 0; head < fixture_.shape.n_kv_heads; ++head) {
      std::copy_n(dense.data() + head * elements, elements, padded.row(head * head_rows()));
    }
    return padded;
  }

  void receive(std::size_t last_queries) {
    Matrix<double> all(cpu_.memory(), fixture_.shape.n_kv_heads, fixture_.n);
    received_ = Matrix<double>(cpu_.memory(), fixture_.shape.n_kv_heads, fixture_.n);
    add_attention_received(cpu_, fixture_.shape, rotated_queries(), 0, fixture_.n, key_heads(),
                           std::as_const(log_normalisers_).view(), fixture_.n - last_queries,
                           all.view(), received_.view());
  }

  void take_window(std::size_t count) {
    window_ = Matrix<float>(cpu_.memory(), fixture_.shape.n_heads * count, head_dim());
    for (std::size_t head = 0; head < fixture_.shape.n_heads; ++head) {
      std::copy_n(rotated_queries().head(head).row(fixture_.n - count), count * head_dim(),
                  window_.row(head * count));
    }
  }

  Cpu& cpu_;
  const PolicyFixture& fixture_;
  LayerPlace place_;
  Matrix<float> keys_, values_;
  std::vector<float> queries_;
  Matrix<float> rotated_queries_, log_normalisers_;
  Matrix<double> received_;
  Matrix<float> window_;  ///< [H queries, d]
};

}  // namespace longshadow::test
