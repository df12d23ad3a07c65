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

// The members of Qwen3-0.6B, where the heads' 2,048 are twice the hidden size.
TEST_CASE("qwen3 has norms over its heads, which name their size, and biases only where asked") {
  const char* members = R"({
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": false,
    "head_dim": 128, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": 8, "max_position_embeddings": 40960,
    "max_window_layers": 28, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
    "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    "use_sliding_window": false, "vocab_size": 151936})";
  const ModelConfig config = parse_with(members);
  CHECK(config.architecture == Architecture::qwen3);
  CHECK(config.query_key_norm == QueryKeyNorm::head);
  CHECK(config.head_dim == 128);
  CHECK(config.group_size() == 2);
  CHECK(config.max_context == 40960);
  CHECK(config.windows.empty());
  CHECK(config.tied_embeddings);
  CHECK(config.bf16_layers);
  CHECK(config.rope.theta == 1e6);
  CHECK(config.rope.scaling == RopeScaling::none);
  CHECK_FALSE(config.attention_bias);
  CHECK_FALSE(config.output_bias);
  CHECK_FALSE(config.feed_forward_bias);

  const auto qwen3 = [](json more) {
    more["model_type"] = "qwen3";
    return parse_with(more.dump().c_str());
  };
  const ModelConfig biased = qwen3({{"attention_bias", true}, {"mlp_bias", true}});
  CHECK(biased.attention_bias);
  CHECK(biased.output_bias);
  CHECK_FALSE(biased.feed_forward_bias);
  CHECK(qwen3(json::object()).head_dim == 128);  // not the hidden size over the heads
  CHECK(
      qwen3({{"rope_scaling",
              {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}}}})
          .max_context == 256);
}

// The members of OLMo-2-1124-7B.
TEST_CASE("olmo2 has norms over whole projections and behind its parts") {
  const ModelConfig config = parse_with(R"({
    "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "attention_bias": false,
    "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "head_dim": null,
    "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 500000,
    "tie_word_embeddings": false, "torch_dtype": "float32", "vocab_size": 100352})");
  CHECK(config.architecture == Architecture::olmo2);
  CHECK(config.query_key_norm == QueryKeyNorm::projection);
  CHECK(config.norms_behind);
  CHECK(config.head_dim == 128);
  CHECK(config.windows.empty());
  CHECK_FALSE(config.attention_bias);
  CHECK_FALSE(parse_with(R"({"model_type": "qwen3"})").norms_behind);
  CHECK(parse_with(R"({"model_type": "olmo2", "attention_bias": true})").output_bias);
}

// The members of Olmo-3-1025-7B, of which 8 layers.
TEST_CASE("olmo3 has windows, and stretches the positions of the other layers alone") {
  const char* members = R"({
    "architectures": ["Olmo3ForCausalLM"], "model_type": "olmo3", "attention_bias": false,
    "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 8, "head_dim": null,
    "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 65536,
    "rms_norm_eps": 1e-06, "rope_theta": 500000, "sliding_window": 4096,
    "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192,
                     "attention_factor": 1.2079441541679836, "beta_fast": 32.0, "beta_slow": 1.0},
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 100278})";
  const ModelConfig config = parse_with(members);
  CHECK(config.architecture == Architecture::olmo3);
  CHECK(config.query_key_norm == QueryKeyNorm::projection);
  CHECK(config.norms_behind);
  CHECK_FALSE(config.norms_before);
  const std::vector<std::size_t> windows{4096, 4096, 4096, 0, 4096, 4096, 4096, 0};
  CHECK(config.windows == windows);
  CHECK(config.rope.scaling == RopeScaling::yarn);
  CHECK(config.max_context == 65536);
  REQUIRE(config.window_rope);
  CHECK(config.window_rope->theta == 5e5);
  CHECK(config.window_rope->scaling == RopeScaling::none);
  const std::vector<double> factors = layer_attention_factors(config);
  CHECK(factors[2] == 1);
  CHECK(factors[3] == 1.2079441541679836);
  const auto frequencies = layer_frequencies(config, 1);
  CHECK(frequencies[2] == rotary_frequencies(*config.window_rope, 128, 1));
  CHECK(frequencies[3] == rotary_frequencies(config.rope, 128, 1));

  json listed = json::parse(members);
  listed["num_hidden_layers"] = 2;
  listed["layer_types"] = {"full_attention", "sliding_attention"};
  listed["rope_parameters"] = {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 1e5}}},
                               {"sliding_attention", {{"rope_type", "default"}}}};
  listed.erase("rope_scaling");
  listed.erase("rope_theta");
  const ModelConfig newer = parse_with(listed.dump().c_str());
  CHECK(newer.windows == std::vector<std::size_t>{0, 4096});
  CHECK(newer.rope.theta == 1e5);
  CHECK(newer.window_rope->theta == 5e5);
}

// The members of SmolLM3-3B.
TEST_CASE("mixtral has experts in every layer, of the feed-forward size") {
  const ModelConfig config = parse_with(R"({
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": 4,
    "num_experts_per_tok": 3, "router_jitter_noise": 0.0, "rope_theta": null})");
  CHECK(config.architecture == Architecture::mixtral);
  CHECK(config.experts.count == 4);
  CHECK(config.experts.chosen == 3);
  CHECK(config.experts.feed_forward_size == 96);
  CHECK(config.experts.renormalised);
  CHECK(config.expert_layers == std::vector{true, true});
  CHECK(config.rope.theta == 1e6);
  CHECK(config.windows.empty());
  const ModelConfig defaults = parse_with(R"({"model_type": "mixtral", "sliding_window": 64})");
  CHECK(defaults.experts.count == 8);
  CHECK(defaults.experts.chosen == 2);
  CHECK(defaults.windows == std::vector<std::size_t>{64, 64});
  CHECK_FALSE(parse_with("{}").has_experts(0));
  CHECK_THAT(json_refusal(R"({"model_type": "mixtral", "num_local_experts": 1})"),
             Contains("at most the 1 experts"));
}

TEST_CASE("qwen3_moe has experts in some layers, of a size of their own") {
  const ModelConfig config = parse_with(R"({
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "num_hidden_layers": 6,
    "decoder_sparse_step": 2, "mlp_only_layers": [3, 77], "num_experts": 16,
    "num_experts_per_tok": 4, "moe_intermediate_size": 24, "norm_topk_prob": true,
    "attention_bias": false, "sliding_window": 64, "use_sliding_window": false})");
  CHECK(config.architecture == Architecture::qwen3_moe);
  CHECK(config.query_key_norm == QueryKeyNorm::head);
  CHECK(config.head_dim == 8);
  CHECK(config.experts.count == 16);
  CHECK(config.experts.chosen == 4);
  CHECK(config.experts.feed_forward_size == 24);
  CHECK(config.experts.renormalised);
  CHECK(config.expert_layers == std::vector{false, true, false, false, false, true});
  CHECK(config.windows.empty());
  // transformers 5 writes another name for the number of experts.
  const ModelConfig saved = parse_with(
      R"({"model_type": "qwen3_moe", "num_local_experts": 9, "attention_bias": true,
          "sliding_window": 64, "use_sliding_window": true})");
  CHECK(saved.experts.count == 9);
  CHECK(saved.experts.chosen == 8);
  CHECK(saved.experts.feed_forward_size == 768);
  CHECK_FALSE(saved.experts.renormalised);
  CHECK(saved.expert_layers == std::vector{true, true});
  CHECK(saved.output_bias);
  CHECK(saved.windows == std::vector<std::size_t>{64, 64});
  CHECK_THAT(json_refusal(R"({"model_type": "qwen3_moe", "mlp_only_layers": [-1]})"),
             Contains("'mlp_only_layers': expected numbers of layers, found '-1'"));
  CHECK_THAT(json_refusal(R"({"model_type": "qwen3_moe", "decoder_sparse_step": 0})"),
             Contains("'decoder_sparse_step': expected 1 to 1024, found 0"));
}

TEST_CASE("smollm3 names the layers without rotary positions, or every so many") {
  const char* members = R"({
    "architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "attention_bias": false,
    "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 8, "mlp_bias": false,
    "num_attention_heads": 16, "num_key_value_heads": 4, "max_position_embeddings": 65536,
    "max_window_layers": 28, "no_rope_layer_interval": 4, "rms_norm_eps": 1e-06,
    "no_rope_layers": [1, 1, 1, 0, 1, 1, 1, 0, 1], "rope_scaling": null, "rope_theta": 5000000.0,
    "sliding_window": null, "torch_dtype": "bfloat16", "use_sliding_window": false,
    "vocab_size": 128256})";
  const std::vector<bool> every_fourth{true, true, true, false, true, true, true, false};
  const ModelConfig config = parse_with(members);
  CHECK(config.architecture == Architecture::smollm3);
  CHECK(config.rotary_layers == every_fourth);
  CHECK(config.head_dim == 128);
  CHECK(config.windows.empty());
  CHECK(config.rope.theta == 5e6);
  CHECK(config.tied_embeddings);  // transformers' default for this family
  const auto smollm3 = [](json more) {
    more["model_type"] = "smollm3";
    return parse_with(more.dump().c_str());
  };
  CHECK(smollm3({{"num_hidden_layers", 8}}).rotary_layers == every_fourth);
  CHECK(smollm3({{"no_rope_layer_interval", 2}}).rotary_layers == std::vector{true, false});
  CHECK(smollm3({{"no_rope_layers", {0, 1}}, {"no_rope_layer_interval", 2}}).rotary_layers ==
        std::vector{false, true});
  CHECK(smollm3({{"rope_theta", nullptr}}).rope.theta == 2e6);
  CHECK(smollm3({{"attention_bias", true}}).output_bias);
  CHECK(smollm3({{"mlp_bias", true}}).feed_forward_bias);
  CHECK_FALSE(smollm3({{"tie_word_embeddings", false}}).tied_embeddings);
  CHECK(parse_with("{}").rotary_layers.empty());

  const ModelConfig yarn =
      smollm3({{"no_rope_layers", {0, 1}}, {"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}}});
  const auto frequencies = layer_frequencies(yarn, 1);
  REQUIRE(frequencies.size() == 2);
  CHECK(frequencies[0] == std::vector<double>(yarn.head_dim / 2));
  CHECK(frequencies[1] == rotary_frequencies(yarn.rope, yarn.head_dim, 1));

  const auto refusal = [&](json more) { return test::error_of([&] { smollm3(std::move(more)); }); };
  CHECK(refusal({{"no_rope_layers", {1}}}) ==
        "config.json: 'no_rope_layers': expected a number for each of the 2 layers, found 1");
  CHECK(refusal({{"no_rope_layers", {1, 2}}}) ==
        "config.json: 'no_rope_layers': expected 0 or 1 for layer 1, found '2'");
  CHECK(refusal({{"no_rope_layer_interval", 0}}) ==
        "config.json: 'no_rope_layer_interval': expected 1 to 1024, found 0");
}

// What these files say and leave out, with other sizes.
TEST_CASE("Llama 2 and the models that are converted into a Llama load as they are written") {
  const ModelConfig llama2 = parse_with(R"({
    "architectures": ["LlamaForCausalLM"], "initializer_range": 0.02, "num_key_value_heads": 4,
    "num_attention_heads": 4, "pretraining_tp": 1, "rope_scaling": null, "rope_theta": null,
    "tie_word_embeddings": false, "torch_dtype": "float16", "use_cache": true})");
  CHECK(llama2.rope.theta == 1e4);
  CHECK(llama2.rope.scaling == RopeScaling::none);
  CHECK(llama2.head_dim == llama2.hidden_size / 4);
  CHECK(llama2.group_size() == 1);
  CHECK_FALSE(llama2.tied_embeddings);
  CHECK_FALSE(llama2.attention_bias);

  const ModelConfig yi = parse_with(R"({"attention_bias": false, "rope_theta": 5000000.0})");
  CHECK(yi.rope.theta == 5e6);

  // InternLM's own files say "bias"; a converted one has these on attention's four products.
  const ModelConfig internlm = parse_with(R"({"attention_bias": true, "bias": true})");
  CHECK(internlm.attention_bias);
  CHECK(internlm.output_bias);
  CHECK_FALSE(internlm.feed_forward_bias);
  CHECK_THAT(test::error_of([] { parse_with(R"({"model_type": "internlm", "bias": true})"); }),
             Contains("'model_type': the architecture 'internlm' is not supported"));
}

// The members of Phi-4-mini-instruct, with heads of 16 instead of 128.
TEST_CASE("phi3 fuses projections, rotates a part of each head and stretches by longrope") {
  const char* members = R"({
    "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "attention_bias": false,
    "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 2, "mlp_bias": false,
    "num_attention_heads": 24, "num_key_value_heads": 8, "max_position_embeddings": 131072,
    "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75,
    "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 262144,
    "rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1.5],
                     "long_factor": [1, 1.25, 1.5, 8, 16.5, 47.75]},
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "vocab_size": 200064})";
  const ModelConfig config = parse_with(members);
  CHECK(config.architecture == Architecture::phi3);
  CHECK(config.fused_projections);
  CHECK(config.head_dim == 16);
  CHECK(config.rope.rotated_elements == 12);
  CHECK(config.rope.scaling == RopeScaling::longrope);
  CHECK(config.rope.original_context == 4096);
  CHECK(config.rope.attention_factor == Approx(std::sqrt(1 + 5.0 / 12)).epsilon(1e-15));
  CHECK(config.max_context == 131072);
  CHECK(config.windows.empty());
  CHECK_FALSE(config.attention_bias);
  const auto shorter = rotary_frequencies(config.rope, config.head_dim, 4096);
  const auto longer = rotary_frequencies(config.rope, config.head_dim, 4097);
  REQUIRE(shorter.size() == 8);
  CHECK(shorter[5] == Approx(std::pow(1e4, -10.0 / 12) / 1.5).epsilon(1e-14));
  CHECK(longer[5] == Approx(std::pow(1e4, -10.0 / 12) / 47.75).epsilon(1e-14));
  CHECK(longer[6] == 0);
  CHECK(longer[7] == 0);

  const auto phi3 = [](json more) {
    more["model_type"] = "phi3";
    more["rope_theta"] = nullptr;
    more["num_attention_heads"] = 6;
    return parse_with(more.dump().c_str());
  };
  const json divisors(4, 2.0);
  const auto longrope = [&](json more) {
    more.update({{"short_factor", divisors}, {"long_factor", divisors}});
    return json{{"rope_scaling", more}, {"original_max_position_embeddings", 32}};
  };
  CHECK(phi3(json::object()).rope.scaling == RopeScaling::none);
  CHECK(phi3(json::object()).rope.rotated_elements == 0);
  CHECK(phi3({{"attention_bias", true}}).output_bias == false);
  CHECK(phi3(longrope({{"type", "su"}})).rope.scaling == RopeScaling::longrope);
  CHECK(phi3(longrope({{"type", "yarn"}})).rope.scaling == RopeScaling::longrope);
  CHECK(phi3(longrope({{"type", "longrope"}, {"attention_factor", 1.25}})).rope.attention_factor ==
        1.25);
  CHECK(phi3(longrope({{"type", "longrope"}, {"factor", 1.0}})).rope.attention_factor == 1.0);
  const auto refusal = [&](json more) { return test::error_of([&] { phi3(std::move(more)); }); };
  json uneven = longrope({{"type", "longrope"}});
  uneven["rope_scaling"]["long_factor"] = json(3, 2.0);
  CHECK(refusal(uneven) ==
        "config.json: longrope's long factors: expected a number for each of the 4 rotated pairs "
        "of a head, found 3");
  uneven["rope_scaling"]["long_factor"] = json(4, "2");
  CHECK(refusal(uneven) ==
        "config.json: 'rope_scaling': 'long_factor': expected numbers, found '\"2\"'");
  uneven["rope_scaling"].erase("long_factor");
  CHECK(refusal(uneven) == "config.json: 'rope_scaling': 'long_factor' is missing");
  json short_context = longrope({{"type", "longrope"}});
  short_context["original_max_position_embeddings"] = 1;
  CHECK_THAT(refusal(short_context), Contains("an original context of at least 2 tokens"));
  CHECK(refusal({{"partial_rotary_factor", 1.5}}) ==
        "config.json: 'partial_rotary_factor': expected a share of a head above 0 and up to 1, "
        "found 1.500000");
  CHECK_THAT(refusal({{"partial_rotary_factor", 0.4}}),
             Contains("an even number of rotated elements, of the 8 of a head, found 3"));
  CHECK_THAT(refusal({{"partial_rotary_factor", 0.01}}),
             Contains("'partial_rotary_factor' of the elements of a head: expected 1 to 8"));
}

// The members of gemma-2-2b.
constexpr const char* kGemma2 = R"({
    "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "attention_bias": false,
    "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 2304, "intermediate_size": 9216, "max_position_embeddings": 8192,
    "num_attention_heads": 8, "num_hidden_layers": 4, "num_key_value_heads": 4,
    "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
    "sliding_window": 4096, "torch_dtype": "bfloat16", "vocab_size": 256000})";

ModelConfig gemma(const char* members, const json& more) {
  json document = json::parse(members);
  document.update(more);
  return parse(document);
}

TEST_CASE("gemma2 caps scores and logits, and has norms around its parts") {
  const ModelConfig config = gemma(kGemma2, json::object());
  CHECK(config.architecture == Architecture::gemma2);
  CHECK(config.norms_before);
  CHECK(config.norms_behind);
  CHECK(config.norm_weights_less_1);
  CHECK(config.query_key_norm == QueryKeyNorm::none);
  CHECK(config.activation == Activation::gelu_tanh);
  CHECK(config.embedding_scale == 48);  // the root of 2304
  CHECK(config.attention_score_cap == 50);
  CHECK(config.logit_cap == 30);
  CHECK(config.attention_scale == 1.0 / 16);
  CHECK(config.windows == std::vector<std::size_t>{4096, 0, 4096, 0});
  CHECK_FALSE(config.window_rope);
  CHECK(config.tied_embeddings);
  CHECK(config.bf16_layers);

  const auto windowed = std::vector<std::size_t>{0, 8};
  CHECK(gemma(kGemma2, {{"num_hidden_layers", 2},
                        {"sliding_window", 8},
                        {"layer_types", {"full_attention", "sliding_attention"}}})
            .windows == windowed);
  CHECK(gemma(kGemma2, {{"final_logit_softcapping", nullptr}}).logit_cap == 0);
  CHECK(gemma(kGemma2, {{"attn_logit_softcapping", nullptr}}).attention_score_cap == 0);
  CHECK(gemma(kGemma2, {{"attention_bias", true}}).output_bias);
  // What transformers takes as given.
  const ModelConfig plain = parse(json{{"model_type", "gemma2"}});
  CHECK(plain.n_layers == 26);
  CHECK(plain.logit_cap == 30);
  CHECK(plain.attention_score_cap == 50);
  CHECK(plain.max_context == 8192);

  const auto refusal = [](const json& more) { return error_of([&] { gemma(kGemma2, more); }); };
  CHECK(refusal({{"hidden_activation", "gelu"}}) ==
        "config.json: 'hidden_activation': only gelu_pytorch_tanh is supported");
  CHECK(refusal({{"final_logit_softcapping", 0}}) ==
        "config.json: 'final_logit_softcapping': expected a positive number, found 0.000000");
  CHECK(refusal({{"query_pre_attn_scalar", -1}}) ==
        "config.json: 'query_pre_attn_scalar': expected a positive number, found -1.000000");
  CHECK_THAT(refusal({{"use_bidirectional_attention", true}}),
             StartsWith("config.json: 'use_bidirectional_attention': "));
  CHECK_THAT(refusal({{"sliding_window", nullptr}}), Contains("'sliding_window' is null"));
}

// The members of gemma-3-270m, but for its layer_types.
TEST_CASE("gemma3 has another rotary base in layers with a window") {
  constexpr const char* kMembers = R"({
    "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "attention_bias": false,
    "attn_logit_softcapping": null, "final_logit_softcapping": null, "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 640, "intermediate_size": 2048,
    "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 7,
    "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
    "rope_local_base_freq": 10000.0, "rope_scaling": null, "rope_theta": 1000000.0,
    "sliding_window": 512, "use_bidirectional_attention": false, "vocab_size": 262144})";
  const std::vector<std::size_t> windows{512, 512, 512, 512, 512, 0, 512};
  const ModelConfig config = gemma(kMembers, json::object());
  CHECK(config.architecture == Architecture::gemma3);
  CHECK(config.query_key_norm == QueryKeyNorm::head);
  CHECK(config.attention_score_cap == 0);
  CHECK(config.logit_cap == 0);
  CHECK(config.windows == windows);
  CHECK(config.rope.theta == 1e6);
  REQUIRE(config.window_rope);
  CHECK(config.window_rope->theta == 1e4);
  const auto frequencies = layer_frequencies(config, 1);
  CHECK(frequencies[4] == rotary_frequencies(*config.window_rope, 256, 1));
  CHECK(frequencies[5] == rotary_frequencies(config.rope, 256, 1));
  CHECK(frequencies[4] != frequencies[5]);

  // As transformers 5 spells it.
  const ModelConfig newer =
      gemma(kMembers,
            {{"rope_theta", nullptr},
             {"rope_local_base_freq", nullptr},
             {"rope_parameters",
              {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 5e5}}},
               {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e4}}}}}});
  CHECK(newer.rope.theta == 5e5);
  CHECK(newer.rope.factor == 8);
  CHECK(newer.window_rope->theta == 2e4);
  CHECK(newer.window_rope->scaling == RopeScaling::none);
  CHECK(gemma(kMembers, {{"sliding_window_pattern", 2}}).windows[1] == 0);
  CHECK(gemma(kMembers, {{"attn_logit_softcapping", 50.0}}).warnings.size() == 1);
}

// The members of gemma-3-4b-it: whatever transformers knows itself is missing.
TEST_CASE("of a gemma3 that sees images the text model is read") {
  const char* members = R"({
    "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
    "torch_dtype": "bfloat16", "vision_config": {"hidden_size": 1152},
    "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                    "num_hidden_layers": 34, "sliding_window": 1024,
                    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}})";
  const ModelConfig config = gemma(members, json::object());
  CHECK(config.architecture == Architecture::gemma3);
  CHECK(config.hidden_size == 2560);
  CHECK(config.n_heads == 8);
  CHECK(config.n_kv_heads == 4);
  CHECK(config.head_dim == 256);
  CHECK(config.vocab_size == 262208);
  CHECK(config.max_context == 131072);
  CHECK(config.windows[0] == 1024);
  CHECK(config.windows[5] == 0);
  CHECK(config.rope.theta == 1e6);
  CHECK(config.rope.factor == 8);
  CHECK(config.window_rope->theta == 1e4);
  CHECK(config.bf16_layers);
  CHECK_THAT(error_of([] {
               parse(json{{"model_type", "gemma3"}});
             }),
             StartsWith("config.json: ") && Contains("'text_config'"));
}

}  // namespace
}  // namespace longshadow
