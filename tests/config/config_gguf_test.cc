#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "engine/config/config.h"
#include "engine/io/gguf.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using test::error_of;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

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

/// small_llama() as another architecture's file.
Gguf small(const std::string& architecture) {
  Gguf gguf;
  gguf.source = "m.gguf";
  for (auto& [key, value] : small_llama().metadata) {
    gguf.metadata[key.starts_with("llama.") ? architecture + key.substr(5) : key] = value;
  }
  gguf.metadata["general.architecture"] = architecture;
  return gguf;
}

TEST_CASE("a qwen2 GGUF has biases and its own key prefix") {
  const ModelConfig config = config_from_gguf(small("qwen2"));
  CHECK(config.architecture == Architecture::qwen2);
  CHECK(config.attention_bias);
  CHECK(config.query_key_norm == QueryKeyNorm::none);
  CHECK(config.n_layers == 2);
}

TEST_CASE("a llama GGUF with experts is a Mixtral, which weighs those that it chooses") {
  Gguf gguf = small_llama();
  gguf.metadata["llama.expert_count"] = std::uint64_t{0};
  CHECK(config_from_gguf(gguf).architecture == Architecture::llama);
  gguf.metadata["llama.expert_count"] = std::uint64_t{8};
  gguf.metadata["llama.expert_used_count"] = std::uint64_t{2};
  const ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::mixtral);
  CHECK(config.experts.count == 8);
  CHECK(config.experts.chosen == 2);
  CHECK(config.experts.feed_forward_size == 96);
  CHECK(config.experts.renormalised);
  CHECK(config.expert_layers == std::vector{true, true});
  CHECK(config.query_key_norm == QueryKeyNorm::none);
  gguf.metadata["llama.expert_used_count"] = std::uint64_t{9};
  CHECK_THAT(error_of([&] { config_from_gguf(gguf); }),
             Contains("expected at most the 8 experts that there are for each token, found 9"));
}

TEST_CASE("a qwen3moe GGUF has experts of a size of their own in every layer") {
  Gguf gguf = small("qwen3moe");
  gguf.metadata["qwen3moe.expert_count"] = std::uint64_t{8};
  gguf.metadata["qwen3moe.expert_used_count"] = std::uint64_t{3};
  CHECK(config_from_gguf(gguf).experts.feed_forward_size == 96 / 3);
  gguf.metadata["qwen3moe.expert_feed_forward_length"] = std::uint64_t{24};
  const ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::qwen3_moe);
  CHECK(config.query_key_norm == QueryKeyNorm::head);
  CHECK(config.experts.feed_forward_size == 24);
  CHECK(config.feed_forward_size == 96);
  CHECK(config.expert_layers == std::vector{true, true});
  Gguf other = small("qwen2");
  other.metadata["qwen2.expert_count"] = std::uint64_t{4};
  CHECK_THAT(error_of([&] { config_from_gguf(other); }),
             Contains("'qwen2.expert_count'") && Contains("llama and qwen3moe alone"));
}

TEST_CASE("an olmo2 GGUF has norms over whole projections and behind its parts") {
  const ModelConfig config = config_from_gguf(small("olmo2"));
  CHECK(config.architecture == Architecture::olmo2);
  CHECK(config.query_key_norm == QueryKeyNorm::projection);
  CHECK(config.norms_behind);
}

// As llama.cpp's converter writes it.
TEST_CASE("an olmo2 GGUF with a window is an OLMo 3") {
  Gguf gguf = small("olmo2");
  gguf.metadata["olmo2.block_count"] = std::uint64_t{4};
  gguf.metadata["olmo2.attention.sliding_window"] = std::uint64_t{64};
  gguf.metadata["olmo2.rope.scaling.type"] = std::string("yarn");
  gguf.metadata["olmo2.rope.scaling.factor"] = 4.0;
  gguf.metadata["olmo2.rope.scaling.original_context_length"] = std::uint64_t{32};
  ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::olmo3);
  CHECK(config.norms_behind);
  CHECK(config.windows == std::vector<std::size_t>{64, 64, 64, 0});
  CHECK(config.rope.scaling == RopeScaling::yarn);
  REQUIRE(config.window_rope);
  CHECK(config.window_rope->theta == config.rope.theta);
  CHECK(config.window_rope->scaling == RopeScaling::none);

  constexpr const char* kPattern = "olmo2.attention.sliding_window_pattern";
  gguf.metadata[kPattern] = std::vector{true, false, false, true};
  CHECK(config_from_gguf(gguf).windows == std::vector<std::size_t>{64, 0, 0, 64});
  gguf.metadata[kPattern] = std::vector{true, false};
  CHECK(error_of([&] { config_from_gguf(gguf); }) ==
        "m.gguf: 'olmo2.attention.sliding_window_pattern': expected an entry for each of the 4 "
        "layers, found 2");
}

TEST_CASE("a gemma2 GGUF has caps, windows and norms around its parts") {
  Gguf gguf = small("gemma2");
  gguf.metadata["gemma2.block_count"] = std::uint64_t{3};
  gguf.metadata["gemma2.attention.sliding_window"] = std::uint64_t{64};
  ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::gemma2);
  CHECK(config.norms_before);
  CHECK(config.norms_behind);
  CHECK_FALSE(config.norm_weights_less_1);
  CHECK(config.activation == Activation::gelu_tanh);
  CHECK(config.embedding_scale == std::sqrt(48.0));
  CHECK(config.attention_score_cap == 50);  // what llama.cpp takes as given
  CHECK(config.logit_cap == 30);
  CHECK(config.attention_scale == 1 / std::sqrt(8.0));
  CHECK(config.windows == std::vector<std::size_t>{64, 0, 64});
  gguf.metadata["gemma2.attn_logit_softcapping"] = 20.0;
  gguf.metadata["gemma2.final_logit_softcapping"] = 10.0;
  gguf.metadata["gemma2.block_count"] = std::uint64_t{46};
  gguf.metadata["gemma2.attention.key_length"] = std::uint64_t{16};
  gguf.metadata["gemma2.attention.value_length"] = std::uint64_t{16};
  config = config_from_gguf(gguf);
  CHECK(config.attention_score_cap == 20);
  CHECK(config.logit_cap == 10);
  CHECK(config.attention_scale == 1 / std::sqrt(48.0 / 6));  // of a model of 27B
}

TEST_CASE("a gemma3 GGUF has two rotary bases and norms over its heads") {
  Gguf gguf = small("gemma3");
  gguf.metadata["gemma3.block_count"] = std::uint64_t{7};
  CHECK(config_from_gguf(gguf).windows.empty());
  gguf.metadata["gemma3.attention.sliding_window"] = std::uint64_t{64};
  gguf.metadata["gemma3.rope.scaling.type"] = std::string("linear");
  gguf.metadata["gemma3.rope.scaling.factor"] = 8.0;
  const ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::gemma3);
  CHECK(config.query_key_norm == QueryKeyNorm::head);
  CHECK(config.logit_cap == 0);
  CHECK(config.windows == std::vector<std::size_t>{64, 64, 64, 64, 64, 0, 64});
  CHECK(config.rope.theta == 5e5);
  CHECK(config.rope.factor == 8);
  REQUIRE(config.window_rope);
  CHECK(config.window_rope->theta == 1e4);
  CHECK(config.window_rope->scaling == RopeScaling::none);
}

TEST_CASE("a smollm3 GGUF has no rotary positions in every fourth layer") {
  Gguf gguf = small("smollm3");
  gguf.metadata["smollm3.block_count"] = std::uint64_t{5};
  const ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::smollm3);
  CHECK(config.rotary_layers == std::vector{true, true, true, false, true});
}

TEST_CASE("a phi3 GGUF fuses projections, rotates a part of each head and may have longrope") {
  Gguf gguf = small("phi3");
  ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::phi3);
  CHECK(config.fused_projections);
  CHECK(config.rope.scaling == RopeScaling::none);

  gguf.metadata["phi3.attention.sliding_window"] = std::uint64_t{64};
  CHECK(config_from_gguf(gguf).windows == std::vector<std::size_t>{64, 64});
  CHECK(config_from_gguf(gguf).max_context == 128);
  for (const std::uint64_t none : {0, 128}) {
    gguf.metadata["phi3.attention.sliding_window"] = none;
    CHECK(config_from_gguf(gguf).windows.empty());
  }

  const std::size_t rotated = config.head_dim - 2;
  gguf.metadata["phi3.rope.dimension_count"] = std::uint64_t{rotated};
  CHECK(config_from_gguf(gguf).rope.rotated_elements == rotated);
  gguf.metadata["phi3.rope.scaling.original_context_length"] = std::uint64_t{32};
  gguf.metadata["phi3.rope.scaling.attn_factor"] = 1.25;
  const std::vector<float> of_long(rotated / 2, 2.0f), of_short(rotated / 2, 1.5f);
  add_tensor(gguf, "rope_factors_long.weight", of_long);
  CHECK_THAT(error_of([&] { config_from_gguf(gguf); }),
             Contains("rope_factors_short.weight and rope_factors_long.weight together"));
  add_tensor(gguf, "rope_factors_short.weight", of_short);
  config = config_from_gguf(gguf);
  CHECK(config.rope.scaling == RopeScaling::longrope);
  CHECK(config.rope.original_context == 32);
  CHECK(config.rope.attention_factor == 1.25);
  CHECK(config.rope.short_divisors == std::vector(rotated / 2, 1.5));
  CHECK(config.rope.long_divisors == std::vector(rotated / 2, 2.0));
  gguf.metadata["phi3.rope.scaling.type"] = std::string("longrope");
  CHECK(config_from_gguf(gguf).rope.scaling == RopeScaling::longrope);
  gguf.metadata["phi3.rope.scaling.type"] = std::string("yarn");
  CHECK_THAT(error_of([&] { config_from_gguf(gguf); }), Contains("no other rope scaling"));
}

TEST_CASE("a qwen3 GGUF has norms over its heads, and biases where they are stored") {
  Gguf gguf = small("qwen3");
  gguf.metadata["qwen3.attention.key_length"] = std::uint64_t{128};
  gguf.metadata["qwen3.attention.value_length"] = std::uint64_t{128};
  ModelConfig config = config_from_gguf(gguf);
  CHECK(config.architecture == Architecture::qwen3);
  CHECK(config.query_key_norm == QueryKeyNorm::head);
  CHECK(config.head_dim == 128);
  CHECK_FALSE(config.attention_bias);
  CHECK(config.tied_embeddings);

  const std::vector<float> values(4, 1.0f);
  add_tensor(gguf, "blk.0.attn_q.bias", values);
  gguf.metadata["qwen3.rope.scaling.type"] = std::string("yarn");
  gguf.metadata["qwen3.rope.scaling.factor"] = 4.0;
  gguf.metadata["qwen3.rope.scaling.original_context_length"] = std::uint64_t{128};
  config = config_from_gguf(gguf);
  CHECK(config.attention_bias);
  CHECK(config.rope.scaling == RopeScaling::yarn);
  CHECK(config.rope.original_context == 128);
  CHECK(config.max_context == 512);
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
       "'mamba\\x0a2' is not supported; choose a model of one of these: llama, qwen2, qwen3"},
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
      {"experts", "llama.expert_count", n(8), "expert_used_count"},
      {"too many experts", "llama.expert_count", n(5000), "expected 1 to 4096, found 5000"},
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

}  // namespace
}  // namespace longshadow
