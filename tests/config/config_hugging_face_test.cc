#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/config/config.h"
#include "engine/config/rotary_frequencies.h"
#include "tests/config/config_json.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;
using test::error_of;
using test::json_refusal;
using test::parse;
using test::parse_with;
using test::small_json;

TEST_CASE("a configuration is read from config.json") {
  const ModelConfig config = parse(small_json());
  CHECK(config.architecture == Architecture::llama);
  CHECK(config.n_layers == 2);
  CHECK(config.hidden_size == 48);
  CHECK(config.feed_forward_size == 96);
  CHECK(config.n_heads == 6);
  CHECK(config.n_kv_heads == 3);
  CHECK(config.head_dim == 8);
  CHECK(config.max_context == 128);
  CHECK(config.vocab_size == 100);
  CHECK(config.norm_epsilon == 1e-6);
  CHECK_FALSE(config.tied_embeddings);
  CHECK_FALSE(config.attention_bias);
  CHECK(config.rope.theta == 5e5);
  CHECK(config.rope.scaling == RopeScaling::none);

  CHECK(parse_with(R"({"head_dim": 16})").head_dim == 16);
  CHECK(parse_with(R"({"num_key_value_heads": null})").n_kv_heads == 6);
  CHECK(parse_with(R"({"tie_word_embeddings": true})").tied_embeddings);
  CHECK(parse_with(R"({"attention_bias": true})").attention_bias);
  CHECK(parse_with(R"({"attention_bias": true})").output_bias);
  CHECK(parse_with(R"({"mlp_bias": true})").feed_forward_bias);
  // Where the head size is named, heads need not add up to the hidden size.
  CHECK(parse_with(R"({"head_dim": 8, "num_attention_heads": 9})").n_heads == 9);
  CHECK(parse_with(R"({"rope_theta": null})").rope.theta == 10000.0);
  CHECK_FALSE(config.bf16_layers);
  CHECK_FALSE(parse_with(R"({"torch_dtype": "float16"})").bf16_layers);
  CHECK(parse_with(R"({"torch_dtype": "bfloat16"})").bf16_layers);
  CHECK(parse_with(R"({"dtype": "bfloat16"})").bf16_layers);
  const ModelConfig qwen = parse_with(
      R"({"model_type": "qwen2", "use_sliding_window": false, "sliding_window": 4096,
          "layer_types": ["full_attention", "full_attention"]})");
  CHECK(qwen.architecture == Architecture::qwen2);
  CHECK(qwen.attention_bias);
  CHECK_FALSE(qwen.output_bias);
  CHECK(qwen.windows.empty());
  CHECK(qwen.query_key_norm == QueryKeyNorm::none);
}

TEST_CASE("layers have windows where transformers would use one") {
  struct Case {
    const char* members;
    std::vector<std::size_t> windows;
  };
  const std::vector<Case> cases = {
      {R"({"model_type": "mistral", "sliding_window": null})", {}},
      {R"({"model_type": "mistral", "sliding_window": 128})", {}},
      {R"({"model_type": "mistral", "sliding_window": 64})", {64, 64}},
      {R"({"model_type": "mistral", "max_position_embeddings": 32768})", {4096, 4096}},
      {R"({"sliding_window": 64})", {}},
      {R"({"sliding_window": 64, "layer_types": ["full_attention", "sliding_attention"]})", {}},
      {R"({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": false})", {}},
      {R"({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": true})", {}},
      {R"({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": true,
           "max_window_layers": 1})",
       {0, 64}},
      {R"({"model_type": "qwen2", "sliding_window": null, "use_sliding_window": true,
           "max_window_layers": 1})",
       {}},
      {R"({"model_type": "qwen3", "sliding_window": 64, "max_window_layers": 1})", {}},
      {R"({"model_type": "smollm3", "sliding_window": 64, "use_sliding_window": true,
           "no_rope_layers": [1, 0]})",
       {0, 64}},
      {R"({"model_type": "smollm3", "sliding_window": 64, "use_sliding_window": true,
           "no_rope_layers": [1, 1]})",
       {}},
      {R"({"model_type": "smollm3", "use_sliding_window": true, "no_rope_layers": [1, 0]})", {}},
      {R"({"model_type": "phi3", "sliding_window": 64})", {64, 64}},
      {R"({"model_type": "phi3", "sliding_window": 128})", {}},
      {R"({"model_type": "phi3"})", {}},
      {R"({"model_type": "olmo2", "sliding_window": 64, "use_sliding_window": true,
           "max_window_layers": 1})",
       {}},
      {R"({"model_type": "qwen3", "sliding_window": 64, "use_sliding_window": true,
           "max_window_layers": 2})",
       {}},
      {R"({"model_type": "qwen3", "sliding_window": 64, "use_sliding_window": true,
           "max_window_layers": 1})",
       {0, 64}},
      {R"({"model_type": "qwen3", "sliding_window": 64,
           "layer_types": ["full_attention", "sliding_attention"]})",
       {0, 64}},
  };
  for (const Case& each : cases) {
    INFO(each.members);
    const ModelConfig config = parse_with(each.members);
    CHECK(config.windows == each.windows);
    CHECK(describe_max_context(config) ==
          "the model was trained to read " + std::to_string(config.max_context));
  }
  const ModelConfig mistral = parse_with(R"({"model_type": "mistral", "attention_bias": true})");
  CHECK(mistral.architecture == Architecture::mistral);
  CHECK_FALSE(mistral.attention_bias);
  CHECK(describe_max_context(mistral) == "the model was trained to read 128");
}

TEST_CASE("a stretched model reads as many tokens as it was stretched to") {
  const char* yarn = R"({"rope_scaling": {"type": "yarn", "factor": 4,
                         "original_max_position_embeddings": 64}})";
  CHECK(parse_with(yarn).max_context == 256);
  CHECK(parse_with(R"({"rope_scaling": {"type": "dynamic", "factor": 3}})").max_context == 384);
  CHECK(parse_with(R"({"rope_scaling": {"type": "linear", "factor": 3}})").max_context == 128);
}

TEST_CASE("config.json rope scaling, in the spellings of every transformers version") {
  const char* llama3 = R"("factor": 8, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 64)";
  const auto with = [](const std::string& start, const std::string& rest) {
    return parse_with((start + rest + "}}").c_str()).rope;
  };
  for (const RopeConfig& rope :
       {with(R"({"rope_scaling": {"type": "llama3", )", llama3),
        with(R"({"rope_scaling": {"rope_type": "llama3", )", llama3),
        with(R"({"rope_theta": 1, "rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", )",
             llama3)}) {
    CHECK(rope.theta == 5e5);
    CHECK(rope.scaling == RopeScaling::llama3);
    CHECK(rope.factor == 8.0);
    CHECK(rope.low_frequency_factor == 1.0);
    CHECK(rope.high_frequency_factor == 4.0);
    CHECK(rope.original_context == 64);
    CHECK(rope.frequency_divisors.empty());
  }
  const RopeConfig linear = with(R"({"rope_scaling": {"type": "linear", "factor": 2.5)", "");
  CHECK(linear.scaling == RopeScaling::linear);
  CHECK(linear.factor == 2.5);
  const RopeConfig plain =
      with(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 7)", "");
  CHECK(plain.scaling == RopeScaling::none);
  CHECK(plain.theta == 7.0);
}

TEST_CASE("malformed or unsupported config.json files are refused by key") {
  struct Case {
    std::string what;
    const char* members;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {"unknown architecture", R"({"model_type": "gpt2"})",
       "'model_type': the architecture 'gpt2' is not supported; choose a model of one of these: "
       "llama, mistral, mixtral, qwen2, qwen3"},
      {"92 hidden % heads", R"({"num_attention_heads": 5})", "5 heads divide, found 48"},
      {"93 heads % KV heads", R"({"num_key_value_heads": 4})", "4 key-value heads divide, found 6"},
      {"94 float", R"({"hidden_size": 48.0})", "'hidden_size': expected a non-negative integer"},
      {"94 negative", R"({"num_hidden_layers": -2})", "found number -2"},
      {"94 string", R"({"num_hidden_layers": "2"})", "found string"},
      {"95 layers over the cap", R"({"num_hidden_layers": 100000})", "expected 1 to 1024"},
      {"95 no layers", R"({"num_hidden_layers": 0})", "expected 1 to 1024, found 0"},
      {"no KV heads", R"({"num_key_value_heads": 0})", "'num_key_value_heads': expected 1 to"},
      {"no heads", R"({"num_attention_heads": 0})", "'num_attention_heads': expected 1 to"},
      {"odd head size", R"({"head_dim": 7})", "even head size"},
      {"zero eps", R"({"rms_norm_eps": 0})", "'rms_norm_eps': expected a positive number"},
      {"negative theta", R"({"rope_theta": -1})", "'rope_theta': expected a positive number"},
      {"huge context", R"({"max_position_embeddings": 18446744073709551615})", "expected 1 to"},
      {"rope type", R"({"rope_scaling": {"rope_type": "proportional", "factor": 4}})",
       "rope type 'proportional' is not supported; expected default, linear, dynamic, yarn, "
       "llama3 or longrope"},
      {"rope type", R"({"rope_scaling": {"type": "mrope"}})", "rope type 'mrope'"},
      {"yarn without factor", R"({"rope_scaling": {"type": "yarn"}})", "'factor' is missing"},
      {"yarn's context", R"({"rope_scaling": {"type": "yarn", "factor": 4,
          "original_max_position_embeddings": 0}})",
       "expected 1 to"},
      {"yarn's beta", R"({"rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": -1}})",
       "'beta_fast': expected a positive number"},
      {"yarn's attention factor",
       R"({"rope_scaling": {"type": "yarn", "factor": 4, "attention_factor": 0}})",
       "'attention_factor': expected a positive number"},
      {"yarn's base", R"({"rope_theta": 1, "rope_scaling": {"type": "yarn", "factor": 4}})",
       "a rotary base above 1"},
      {"dynamic below 1", R"({"rope_scaling": {"type": "dynamic", "factor": 0.5}})",
       "a factor of at least 1 for dynamic"},
      {"dynamic of one pair",
       R"({"head_dim": 2, "rope_scaling": {"type": "dynamic", "factor": 2}})",
       "a head size of at least 4"},
      {"rope factor", R"({"rope_scaling": {"type": "linear"}})", "'factor' is missing"},
      {"rope factor", R"({"rope_scaling": {"type": "linear", "factor": 0}})", "'factor': expected"},
      {"rope object", R"({"rope_scaling": "linear"})", "'rope_scaling': expected an object"},
      {"llama3 without its numbers", R"({"rope_scaling": {"rope_type": "llama3", "factor": 8}})",
       "'low_freq_factor' is missing"},
      {"llama3 factors", R"({"rope_parameters": {"rope_type": "llama3", "factor": 8,
          "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 8}})",
       "expected low_freq_factor below high_freq_factor"},
      {"partly rotated", R"({"partial_rotary_factor": 0.5})", "'partial_rotary_factor'"},
      {"partly rotated", R"({"rope_parameters": {"partial_rotary_factor": 0.5}})",
       "'partial_rotary_factor'"},
      {"activation", R"({"hidden_act": "gelu"})", "only silu is supported"},
      {"no window", R"({"model_type": "qwen3", "sliding_window": null,
          "layer_types": ["full_attention", "sliding_attention"]})",
       "but 'sliding_window' is null"},
      {"window of none", R"({"model_type": "mistral", "sliding_window": 0})",
       "'sliding_window': expected 1 to"},
      {"a layer too few", R"({"layer_types": ["full_attention"]})",
       "'layer_types': expected a type for each of the 2 layers, found 1"},
      {"chunked layers", R"({"layer_types": ["full_attention", "chunked_attention"]})",
       "only full_attention and sliding_attention are supported, found '\"chunked_attention\"'"},
      {"quantised", R"({"quantization_config": {"bits": 4}})", "'quantization_config'"},
      {"wrong flag", R"({"tie_word_embeddings": 1})", "expected true or false"},
      {"qwen3's odd head size", R"({"model_type": "qwen3", "head_dim": 7})", "even head size"},
      {"qwen3's no head", R"({"model_type": "qwen3", "head_dim": 0})", "'head_dim': expected 1 to"},
  };
  for (const Case& each : cases) {
    DYNAMIC_SECTION("case " << each.what << ": " << each.members) {
      CHECK_THAT(json_refusal(each.members), Contains(each.reason));
    }
  }
}

TEST_CASE("a missing config.json key is named, and text that is not an object refused") {
  for (const std::string key :
       {"model_type", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "max_position_embeddings", "vocab_size", "rms_norm_eps"}) {
    json document = small_json();
    document.erase(key);
    CHECK(error_of([&] { parse(document); }) == "config.json: '" + key + "' is missing");
  }
  CHECK_THAT(error_of([] { parse(json::array()); }), Contains("expected an object"));
}

}  // namespace
}  // namespace longshadow
