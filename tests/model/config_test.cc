#include "engine/model/config.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/io/gguf.h"
#include "engine/io/json.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;
using test::error_of;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// --- GGUF ---

/// Metadata of a small llama: 6 heads of 8 in 48, 3 key-value heads.
Gguf small_llama() {
  Gguf gguf;
  gguf.source = "m.gguf";
  gguf.metadata = {{"general.architecture", std::string("llama")},
                   {"general.name", std::string("Small")},
                   {"llama.block_count", std::uint64_t{2}},
                   {"llama.embedding_length", std::uint64_t{48}},
                   {"llama.feed_forward_length", std::uint64_t{96}},
                   {"llama.attention.head_count", std::uint64_t{6}},
                   {"llama.attention.head_count_kv", std::uint64_t{3}},
                   {"llama.attention.layer_norm_rms_epsilon", 1e-6},
                   {"llama.context_length", std::uint64_t{128}},
                   {"llama.rope.freq_base", 5e5},
                   {"tokenizer.ggml.tokens", std::vector<std::string>(100)}};
  return gguf;
}

std::string gguf_refusal(const std::string& key, GgufValue value) {
  Gguf gguf = small_llama();
  gguf.metadata[key] = std::move(value);
  const std::string error = error_of([&] { config_from_gguf(gguf); });
  CHECK_THAT(error, StartsWith("m.gguf: "));
  return error;
}

/// Adds an F32 tensor of the bytes of `values` to the file, which must not outlive them.
void add_tensor(Gguf& gguf, const std::string& name, const std::vector<float>& values) {
  gguf.tensors.push_back(
      {name, StorageType::f32, {values.size()}, std::as_bytes(std::span(values))});
  std::ranges::sort(gguf.tensors, {}, &StoredTensor::name);
}

TEST_CASE("a configuration is read from GGUF metadata") {
  Gguf gguf = small_llama();
  ModelConfig config = config_from_gguf(gguf);
  CHECK(config.name == "Small");
  CHECK(config.architecture == Architecture::llama);
  CHECK(config.n_layers == 2);
  CHECK(config.hidden_size == 48);
  CHECK(config.feed_forward_size == 96);
  CHECK(config.n_heads == 6);
  CHECK(config.n_kv_heads == 3);
  CHECK(config.group_size() == 2);
  CHECK(config.head_dim == 8);
  CHECK(config.max_context == 128);
  CHECK(config.vocab_size == 100);
  CHECK(config.norm_epsilon == 1e-6);
  CHECK(config.tied_embeddings);
  CHECK_FALSE(config.attention_bias);
  CHECK(config.rope.theta == 5e5);
  CHECK(config.rope.scaling == RopeScaling::none);
  CHECK(config.rope.frequency_divisors.empty());

  const std::vector<float> values(4, 1.0f);
  add_tensor(gguf, "output.weight", values);
  add_tensor(gguf, "blk.0.attn_q.bias", values);
  gguf.metadata["llama.vocab_size"] = std::uint64_t{101};
  gguf.metadata["llama.attention.key_length"] = std::uint64_t{16};
  gguf.metadata["llama.attention.value_length"] = std::uint64_t{16};
  gguf.metadata.erase("llama.attention.head_count_kv");
  gguf.metadata.erase("llama.rope.freq_base");
  config = config_from_gguf(gguf);
  CHECK_FALSE(config.tied_embeddings);
  CHECK(config.attention_bias);
  CHECK(config.vocab_size == 101);
  CHECK(config.head_dim == 16);
  CHECK(config.n_kv_heads == 6);
  CHECK(config.rope.theta == 10000.0);
}

TEST_CASE("a qwen2 GGUF has biases and its own key prefix") {
  Gguf gguf = small_llama();
  Gguf qwen;
  qwen.source = gguf.source;
  for (auto& [key, value] : gguf.metadata) {
    qwen.metadata[key.starts_with("llama.") ? "qwen2" + key.substr(5) : key] = value;
  }
  qwen.metadata["general.architecture"] = std::string("qwen2");
  const ModelConfig config = config_from_gguf(qwen);
  CHECK(config.architecture == Architecture::qwen2);
  CHECK(config.attention_bias);
  CHECK(config.n_layers == 2);
}

TEST_CASE("GGUF rope scaling: linear in both spellings, llama3 as stored divisors") {
  Gguf gguf = small_llama();
  SECTION("linear") {
    gguf.metadata["llama.rope.scaling.type"] = std::string("linear");
    gguf.metadata["llama.rope.scaling.factor"] = 4.0;
    const RopeConfig rope = config_from_gguf(gguf).rope;
    CHECK(rope.scaling == RopeScaling::linear);
    CHECK(rope.factor == 4.0);
  }
  SECTION("linear before there were types") {
    gguf.metadata["llama.rope.scale_linear"] = 2.0;
    const RopeConfig rope = config_from_gguf(gguf).rope;
    CHECK(rope.scaling == RopeScaling::linear);
    CHECK(rope.factor == 2.0);
  }
  SECTION("none, whatever the factor") {
    gguf.metadata["llama.rope.scaling.type"] = std::string("none");
    gguf.metadata["llama.rope.scaling.factor"] = 4.0;
    CHECK(config_from_gguf(gguf).rope.scaling == RopeScaling::none);
  }
  SECTION("yarn, with llama.cpp's own numbers") {
    gguf.metadata["llama.rope.scaling.type"] = std::string("yarn");
    gguf.metadata["llama.rope.scaling.factor"] = 4.0;
    ModelConfig config = config_from_gguf(gguf);
    CHECK(config.rope.scaling == RopeScaling::yarn);
    CHECK(config.rope.factor == 4.0);
    CHECK(config.rope.original_context == 128);  // the context, for want of another
    CHECK(config.max_context == 512);
    CHECK(config.rope.attention_factor == Approx(1 + 0.1 * std::log(4.0)));
    gguf.metadata["llama.rope.scaling.original_context_length"] = std::uint64_t{16};
    gguf.metadata["llama.rope.scaling.attn_factor"] = 2.0;
    gguf.metadata["llama.rope.scaling.yarn_beta_fast"] = 32.0;
    gguf.metadata["llama.rope.scaling.yarn_beta_slow"] = 2.0;
    config = config_from_gguf(gguf);
    CHECK(config.rope.original_context == 16);
    CHECK(config.max_context == 128);
    CHECK(config.rope.attention_factor == Approx(2 + 0.2 * std::log(4.0)));
    CHECK(config.rope.beta_slow == 1.0);
    REQUIRE(config.warnings.size() == 1);
    CHECK_THAT(config.warnings[0], Contains("yarn_beta_slow': 2.000000 is left aside"));
  }
  SECTION("divisors") {
    const std::vector<float> divisors = {1.0f, 1.5f, 8.0f, 32.0f};
    add_tensor(gguf, "rope_freqs.weight", divisors);
    const RopeConfig rope = config_from_gguf(gguf).rope;
    CHECK(rope.scaling == RopeScaling::llama3);
    CHECK(rope.frequency_divisors == std::vector<double>{1.0, 1.5, 8.0, 32.0});
    gguf.metadata["llama.rope.scale_linear"] = 2.0;
    CHECK_THAT(error_of([&] { config_from_gguf(gguf); }), Contains("together with rope_freqs"));
  }
  SECTION("malformed divisors") {
    const std::vector<float> three(3, 1.0f);
    add_tensor(gguf, "rope_freqs.weight", three);
    CHECK_THAT(error_of([&] { config_from_gguf(gguf); }),
               Contains("expected F32 [4], found F32 [3]"));
    const std::vector<float> zero = {1.0f, 1.0f, 0.0f, 1.0f};
    gguf.tensors.clear();
    add_tensor(gguf, "rope_freqs.weight", zero);
    CHECK_THAT(error_of([&] { config_from_gguf(gguf); }), Contains("expected a positive number"));
  }
}

TEST_CASE("malformed or unsupported GGUF configurations are refused by key") {
  const auto n = [](std::uint64_t value) { return GgufValue(value); };
  struct Case {
    std::string what;
    std::string key;
    GgufValue value;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {"unknown architecture", "general.architecture", std::string("mamba\n2"),
       "'mamba\\x0a2' is not supported; choose a model of one of these: llama, qwen2"},
      {"a LoRA adapter", "general.type", std::string("adapter"),
       "expected a model, found 'adapter'; merge it into its model"},
      {"an image encoder", "general.type", std::string("mmproj"),
       "found 'mmproj'; give the file of"},
      {"44 no layers", "llama.block_count", n(0),
       "'llama.block_count': expected 1 to 1024, found 0"},
      {"44 huge", "llama.block_count", n(std::uint64_t{1} << 63),
       "'llama.block_count': expected 1 to"},
      {"45 heads do not divide", "llama.attention.head_count", n(5), "5 heads divide, found 48"},
      {"45 KV heads do not divide", "llama.attention.head_count_kv", n(4), "4 key-value heads"},
      {"45 more KV heads than heads", "llama.attention.head_count_kv", n(12), "12 key-value heads"},
      {"45 no KV heads", "llama.attention.head_count_kv", n(0), "expected 1 to"},
      {"45 no heads", "llama.attention.head_count", n(0), "expected 1 to"},
      {"45 heads per layer", "llama.attention.head_count_kv", std::vector<std::int64_t>{3, 3},
       "expected a non-negative integer, found an array"},
      {"odd head size", "llama.attention.key_length", n(7), "even head size"},
      {"46 wrong type", "llama.embedding_length", 48.0, "expected a non-negative integer"},
      {"46 negative", "llama.embedding_length", std::int64_t{-48}, "found a negative integer"},
      {"46 number for a string", "general.architecture", n(1), "expected a string"},
      {"48 NaN eps", "llama.attention.layer_norm_rms_epsilon", kNan, "expected a positive number"},
      {"48 infinite eps", "llama.attention.layer_norm_rms_epsilon", kInfinity, "positive number"},
      {"48 zero eps", "llama.attention.layer_norm_rms_epsilon", 0.0, "positive number"},
      {"48 NaN base", "llama.rope.freq_base", kNan, "'llama.rope.freq_base': expected a positive"},
      {"48 negative base", "llama.rope.freq_base", -1.0, "expected a positive number"},
      {"48 infinite factor", "llama.rope.scaling.factor", kInfinity, "expected a positive number"},
      {"partly rotated", "llama.rope.dimension_count", n(4), "partly rotated"},
      {"rope type", "llama.rope.scaling.type", std::string("longrope"),
       "rope type 'longrope' is not supported; expected none, linear or yarn"},
      {"values of another size", "llama.attention.value_length", n(16),
       "expected the key length, 8"},
      {"experts", "llama.expert_count", n(8), "mixtures of experts"},
      {"huge vocabulary", "llama.vocab_size", n(std::uint64_t{1} << 40), "'llama.vocab_size'"},
      {"no context", "llama.context_length", n(0), "'llama.context_length'"},
      {"no vocabulary", "tokenizer.ggml.tokens", std::vector<std::string>{}, "expected 1 to"},
  };
  for (const Case& each : cases) {
    DYNAMIC_SECTION("case " << each.what) {
      CHECK_THAT(gguf_refusal(each.key, each.value), Contains(each.reason));
    }
  }
}

TEST_CASE("a missing GGUF key is named") {  // case 46
  const Gguf whole = small_llama();
  for (const std::string key :
       {"general.architecture", "llama.block_count", "llama.embedding_length",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.context_length",
        "llama.attention.layer_norm_rms_epsilon", "tokenizer.ggml.tokens"}) {
    Gguf gguf = whole;
    gguf.metadata.erase(key);
    CHECK(error_of([&] { config_from_gguf(gguf); }) ==
          "m.gguf: the metadata key '" + key + "' is missing");
  }
}

// --- config.json ---

json small_json() {
  return json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 6, "num_key_value_heads": 3, "max_position_embeddings": 128,
    "vocab_size": 100, "rms_norm_eps": 1e-06, "rope_theta": 500000, "rope_scaling": null})");
}

ModelConfig parse(const json& document) {
  return config_from_json(bytes_of(document.dump()), "config.json");
}

/// The configuration with these members put over small_json's.
ModelConfig parse_with(const char* members) {
  json document = small_json();
  document.update(json::parse(members));
  return parse(document);
}

std::string json_refusal(const char* members) {
  const std::string error = error_of([&] { parse_with(members); });
  CHECK_THAT(error, StartsWith("config.json: "));
  return error;
}

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
  CHECK(qwen.attention_window == 0);
}

TEST_CASE("a window bounds the texts that can be read, where transformers would use one") {
  struct Case {
    const char* members;
    std::size_t window;
  };
  const std::vector<Case> cases = {
      {R"({"model_type": "mistral", "sliding_window": null})", 0},
      {R"({"model_type": "mistral", "sliding_window": 128})", 0},
      {R"({"model_type": "mistral", "sliding_window": 64})", 64},
      {R"({"model_type": "mistral", "max_position_embeddings": 32768})", 4096},
      {R"({"sliding_window": 64})", 0},
      {R"({"sliding_window": 64, "layer_types": ["full_attention", "sliding_attention"]})", 64},
      {R"({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": false})", 0},
      {R"({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": true})", 0},
      {R"({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": true,
           "max_window_layers": 1})",
       64},
  };
  for (const Case& each : cases) {
    INFO(each.members);
    const ModelConfig config = parse_with(each.members);
    CHECK(config.attention_window == each.window);
    if (each.window != 0) {
      CHECK(config.max_context == each.window);
      CHECK_THAT(describe_max_context(config),
                 Contains("a window of " + std::to_string(each.window)));
    }
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
      {"unknown architecture", R"({"model_type": "gemma2"})",
       "'model_type': the architecture 'gemma2' is not supported; choose a model of one of these: "
       "llama, mistral, qwen2"},
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
      {"rope type", R"({"rope_scaling": {"rope_type": "longrope", "factor": 4}})",
       "rope type 'longrope' is not supported; expected default, linear, dynamic, yarn or llama3"},
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
      {"no window", R"({"layer_types": ["full_attention", "sliding_attention"],
          "sliding_window": null})",
       "but 'sliding_window' is null"},
      {"window of none", R"({"model_type": "mistral", "sliding_window": 0})",
       "'sliding_window': expected 1 to"},
      {"chunked layers", R"({"layer_types": ["full_attention", "chunked_attention"]})",
       "only full_attention and sliding_attention are supported, found '\"chunked_attention\"'"},
      {"quantised", R"({"quantization_config": {"bits": 4}})", "'quantization_config'"},
      {"wrong flag", R"({"tie_word_embeddings": 1})", "expected true or false"},
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
