#include "engine/config/gemma_config.h"

#include <cmath>

#include "engine/config/config_checks.h"
#include "engine/config/rope_by_layer.h"
#include "engine/core/error.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

using nlohmann::json;

/// transformers' defaults that the two families share.
constexpr const char* kSharedDefaults = R"({
  "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
  "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6,
  "tie_word_embeddings": true, "sliding_window": 4096, "query_pre_attn_scalar": 256,
  "hidden_activation": "gelu_pytorch_tanh"})";

constexpr const char* kGemma2Defaults = R"({
  "vocab_size": 256000, "max_position_embeddings": 8192, "sliding_window_pattern": 2,
  "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0})";

constexpr const char* kGemma3Defaults = R"({
  "vocab_size": 262208, "max_position_embeddings": 131072, "sliding_window_pattern": 6,
  "rope_theta": 1e6})";

constexpr double kLocalTheta = 1e4;

/// The members of config.json's text_config, and those beside it that hold for the whole model.
json text_part(const json& whole, const std::string& source) {
  json text = json_object_at(whole, "text_config", source);
  for (const char* key : {"dtype", "torch_dtype", "tie_word_embeddings", "quantization_config"}) {
    if (!text.contains(key) && whole.contains(key)) text[key] = whole[key];
  }
  return text;
}

/// A positive number, or 0 where there is none.
double read_cap(const json& config, const char* key, const std::string& source) {
  const auto cap = json_find<double>(config, key, source);
  return cap ? positive(*cap, source + ": " + quote(key)) : 0;
}

}  // namespace

void settle_gemma_config(json& config, const std::string& source) {
  std::string type = json_at<std::string>(config, "model_type", source);
  if (type == "gemma3") config = text_part(config, source);
  if (type == "gemma3_text") type = "gemma3";
  if (type != "gemma2" && type != "gemma3") return;
  json settled = json::parse(kSharedDefaults);
  settled.update(json::parse(type == "gemma2" ? kGemma2Defaults : kGemma3Defaults));
  settled.update(config);
  settled["model_type"] = type;
  if (type == "gemma3") {
    settle_rope_by_layer(
        settled, source,
        json_find<double>(settled, "rope_local_base_freq", source).value_or(kLocalTheta));
  }
  config = std::move(settled);
}

void read_gemma_config(const json& config, const std::string& source, ModelConfig& model) {
  if (json_find<bool>(config, "use_bidirectional_attention", source).value_or(false)) {
    throw Error(source +
                ": 'use_bidirectional_attention': attention that looks ahead is not supported; "
                "choose a model that predicts the next token");
  }
  model.norm_weights_less_1 = true;
  model.attention_score_cap = read_cap(config, "attn_logit_softcapping", source);
  if (model.architecture == Architecture::gemma3 && model.attention_score_cap != 0) {
    // transformers reads the member and does not use it.
    model.attention_score_cap = 0;
    model.warnings.push_back(source +
                             ": 'attn_logit_softcapping' is left aside, as transformers does for "
                             "this architecture");
  }
  model.logit_cap = read_cap(config, "final_logit_softcapping", source);
  constexpr const char* kScalar = "query_pre_attn_scalar";
  model.attention_scale = 1 / std::sqrt(positive(json_at<double>(config, kScalar, source),
                                                 source + ": " + quote(kScalar)));
}

}  // namespace longshadow
