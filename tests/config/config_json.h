#pragma once

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/config/config.h"
#include "engine/io/json.h"
#include "tests/support/error_of.h"

namespace longshadow::test {

inline nlohmann::json small_json() {
  return nlohmann::json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 6, "num_key_value_heads": 3, "max_position_embeddings": 128,
    "vocab_size": 100, "rms_norm_eps": 1e-06, "rope_theta": 500000, "rope_scaling": null})");
}

inline ModelConfig parse(const nlohmann::json& document) {
  return config_from_json(bytes_of(document.dump()), "config.json");
}

/// The configuration with these members put over small_json's.
inline ModelConfig parse_with(const char* members) {
  nlohmann::json document = small_json();
  document.update(nlohmann::json::parse(members));
  return parse(document);
}

inline std::string json_refusal(const char* members) {
  const std::string error = error_of([&] { parse_with(members); });
  CHECK_THAT(error, Catch::StartsWith("config.json: "));
  return error;
}

}  // namespace longshadow::test
