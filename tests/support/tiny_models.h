#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/config/config.h"

/// The random models of data/fixtures/models, in both formats, and the float64 values that they
/// must compute (the README there names the keys).
namespace longshadow::test {

inline const std::filesystem::path kTinyModels = LONGSHADOW_FIXTURES "/models";
inline const std::vector<std::string> kTinyModelNames{
    "llama_plain", "llama_linear", "llama_llama3", "qwen2",     "llama_yarn",   "qwen3",
    "qwen3_yarn",  "olmo2",        "smollm3",      "phi_plain", "phi_longrope", "mistral",
    "olmo3",       "gemma2",       "gemma3",       "mixtral",   "qwen3_moe",    "qwen3_moe_mixed"};
/// A few of them for tests that take their time: more layers than two, biases, norms over heads,
/// norms behind the parts, a layer without rotary positions, heads rotated in part, windows, capped
/// scores and logits, experts in some layers.
inline const std::vector<std::string> kFewTinyModelNames{
    "llama_llama3", "qwen2", "olmo2", "smollm3", "gemma2", "phi_longrope", "qwen3_moe_mixed"};

struct TinyModel {
  std::filesystem::path path;
  nlohmann::json expected;
  /// How far f64 logits may be off. The expected ones are printed to ten digits; a GGUF file holds
  /// the norms' epsilon and the rotary divisors in f32.
  double f64_tolerance;
};

inline std::vector<TinyModel> tiny_models() {
  std::vector<TinyModel> models;
  for (const std::string& name : kTinyModelNames) {
    const nlohmann::json expected =
        nlohmann::json::parse(std::ifstream(kTinyModels / (name + ".json")));
    models.push_back({kTinyModels / name, expected, 1e-8});
    const std::filesystem::path gguf = kTinyModels / (name + ".gguf");
    if (std::filesystem::exists(gguf)) models.push_back({gguf, expected, 2e-5});
  }
  return models;
}

/// How far f32 logits of up to `magnitude` may be off after n tokens. Each of the products on the
/// way to them rounds once a term; roundings are as good as independent, and sqrt(k) of them seldom
/// come to more than some times u (Higham and Mary 2019, A New Approach to Probabilistic Rounding
/// Error Analysis, theorem 2.4: beyond 5 sqrt(k) u with probability 1e-5).
inline double f32_logit_tolerance(const ModelConfig& config, std::size_t n, double magnitude) {
  const std::size_t in_a_layer =
      2 * config.hidden_size + config.head_dim + n + config.n_heads * config.head_dim +
      std::max(config.feed_forward_size, config.experts.feed_forward_size);
  const auto roundings = static_cast<double>(config.n_layers * in_a_layer + config.hidden_size);
  return 5 * std::sqrt(roundings) * 0x1p-24 * magnitude;
}

}  // namespace longshadow::test
