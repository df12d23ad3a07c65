#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "engine/config/config_checks.h"
#include "engine/config/gemma_config.h"
#include "engine/config/rope_by_layer.h"
#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

using nlohmann::json;

/// A member that transformers takes as given where it is missing, null or 0.
std::optional<double> number_unless_0(const json& object, const char* key,
                                      const std::string& where) {
  const auto number = json_find<double>(object, key, where);
  if (!number || *number == 0) return std::nullopt;
  return positive(*number, where + ": " + quote(key));
}

/// The object that stretches the rotary frequencies and its name. transformers 5 keeps everything
/// in rope_parameters and lets the older rope_scaling go first.
const json* find_rope_parameters(const json& config, const std::string& source,
                                 std::string& where) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json* parameters = json_object_find(config, key, source);
    if (parameters != nullptr && !parameters->empty()) {
      where = source + ": " + quote(key);
      return parameters;
    }
  }
  return nullptr;
}

RopeScaling scaling_of(const json& parameters, const std::string& where, bool phi3) {
  // `type` is the older spelling of `rope_type`.
  const auto old_type = json_find<std::string>(parameters, "type", where);
  std::string type =
      json_find<std::string>(parameters, "rope_type", where).value_or(old_type.value_or("default"));
  if (phi3 && (type == "su" || type == "yarn")) type = "longrope";  // what Phi-3 once called it
  constexpr std::pair<const char*, RopeScaling> kTypes[] = {
      {"default", RopeScaling::none},    {"linear", RopeScaling::linear},
      {"dynamic", RopeScaling::dynamic}, {"yarn", RopeScaling::yarn},
      {"llama3", RopeScaling::llama3},   {"longrope", RopeScaling::longrope}};
  for (const auto& [name, scaling] : kTypes) {
    if (type == name) return scaling;
  }
  throw Error(where + ": the rope type " + quote(type) +
              " is not supported; expected default, linear, dynamic, yarn, llama3 or longrope");
}

/// Tokens that the model was trained to read before it was stretched.
std::size_t read_original_context(const json& config, const std::string& source,
                                  const json& parameters, const std::string& where,
                                  std::size_t otherwise) {
  constexpr const char* kKey = "original_max_position_embeddings";
  // Beside the object it goes first.
  if (const auto outside = json_find<std::uint64_t>(config, kKey, source)) {
    return in_range(*outside, kMaxContext, source + ": " + quote(kKey));
  }
  return in_range(json_find<std::uint64_t>(parameters, kKey, where).value_or(otherwise),
                  kMaxContext, where + ": " + quote(kKey));
}

void read_yarn(const json& parameters, const std::string& where, RopeConfig& rope) {
  rope.beta_fast = number_unless_0(parameters, "beta_fast", where).value_or(rope.beta_fast);
  rope.beta_slow = number_unless_0(parameters, "beta_slow", where).value_or(rope.beta_slow);
  rope.truncate = json_find<bool>(parameters, "truncate", where).value_or(true);
  const auto named = json_find<double>(parameters, "attention_factor", where);
  const auto mscale = number_unless_0(parameters, "mscale", where);
  const auto mscale_all_dim = number_unless_0(parameters, "mscale_all_dim", where);
  if (named) {
    rope.attention_factor = positive(*named, where + ": 'attention_factor'");
  } else if (mscale && mscale_all_dim) {
    rope.attention_factor = yarn_attention_factor(rope.factor, *mscale) /
                            yarn_attention_factor(rope.factor, *mscale_all_dim);
  } else {
    rope.attention_factor = yarn_attention_factor(rope.factor);
  }
}

std::vector<double> read_divisors(const json& parameters, const char* key,
                                  const std::string& where) {
  const json* found = json_array_find(parameters, key, where);
  if (found == nullptr) throw Error(where + ": " + quote(key) + " is missing");
  std::vector<double> divisors;
  for (const json& one : *found) {
    if (!one.is_number()) {
      throw Error(where + ": " + quote(key) + ": expected numbers, found " + quote(one.dump()));
    }
    divisors.push_back(positive(one.get<double>(), where + ": " + quote(key)));
  }
  return divisors;
}

void read_longrope(const json& parameters, const std::string& where, RopeConfig& rope) {
  rope.short_divisors = read_divisors(parameters, "short_factor", where);
  rope.long_divisors = read_divisors(parameters, "long_factor", where);
  const auto named = json_find<double>(parameters, "attention_factor", where);
  rope.attention_factor = named ? positive(*named, where + ": 'attention_factor'")
                                : longrope_attention_factor(rope.factor, rope.original_context);
}

/// The factor; yarn's and longrope's may be left to the two contexts.
double read_factor(const json& parameters, const std::string& where, const RopeConfig& rope,
                   std::size_t max_context) {
  const bool named = parameters.contains("factor") && !parameters["factor"].is_null();
  if ((rope.scaling == RopeScaling::longrope && !named) ||
      (rope.scaling == RopeScaling::yarn && !named && parameters.contains("factor"))) {
    return static_cast<double>(max_context) / static_cast<double>(rope.original_context);
  }
  return positive(json_at<double>(parameters, "factor", where), where + ": 'factor'");
}

/// Elements of a head that are rotated, by the share that the rotary settings or the configuration
/// names; 0: all.
std::size_t read_rotated_elements(const json& config, const json* parameters,
                                  const std::string& source, const ModelConfig& model) {
  constexpr const char* kKey = "partial_rotary_factor";
  double share = json_find<double>(config, kKey, source).value_or(1.0);
  if (parameters != nullptr) share = json_find<double>(*parameters, kKey, source).value_or(share);
  if (share == 1.0) return 0;
  const std::string where = source + ": " + quote(kKey);
  if (model.architecture != Architecture::phi3) {
    throw Error(where + ": partly rotated heads are not supported in a " +
                name_of(model.architecture) + " model");
  }
  if (!(share > 0 && share < 1)) {
    throw Error(where + ": expected a share of a head above 0 and up to 1, found " +
                std::to_string(share));
  }
  return in_range(static_cast<std::uint64_t>(static_cast<double>(model.head_dim) * share),
                  model.head_dim, where + " of the elements of a head");
}

/// OLMo 3's base where config.json names none.
constexpr double kOlmo3Theta = 5e5;

RopeConfig read_rope(const json& config, const std::string& source, const ModelConfig& model) {
  const bool phi3 = model.architecture == Architecture::phi3;
  const std::size_t max_context = model.max_context;
  RopeConfig rope;
  if (model.architecture == Architecture::smollm3) rope.theta = 2e6;  // transformers' defaults
  if (model.architecture == Architecture::mixtral) rope.theta = 1e6;
  if (model.architecture == Architecture::olmo3) rope.theta = kOlmo3Theta;
  std::string where;
  const json* parameters = find_rope_parameters(config, source, where);
  rope.theta = json_find<double>(config, "rope_theta", source).value_or(rope.theta);
  rope.rotated_elements = read_rotated_elements(config, parameters, source, model);
  if (parameters != nullptr) {
    rope.theta = json_find<double>(*parameters, "rope_theta", where).value_or(rope.theta);
    rope.scaling = scaling_of(*parameters, where, phi3);
  }
  positive(rope.theta, source + ": 'rope_theta'");
  if (rope.scaling == RopeScaling::none) return rope;

  rope.original_context =
      rope.scaling == RopeScaling::dynamic
          ? max_context
          : read_original_context(config, source, *parameters, where, phi3 ? 4096 : max_context);
  rope.factor = read_factor(*parameters, where, rope, max_context);
  if (rope.scaling == RopeScaling::yarn) read_yarn(*parameters, where, rope);
  if (rope.scaling == RopeScaling::longrope) read_longrope(*parameters, where, rope);
  if (rope.scaling == RopeScaling::llama3) {
    const auto number = [&](const char* key) {
      return positive(json_at<double>(*parameters, key, where), where + ": " + quote(key));
    };
    rope.low_frequency_factor = number("low_freq_factor");
    rope.high_frequency_factor = number("high_freq_factor");
  }
  return rope;
}

/// Options of the architectures that change what the model computes and that nobody computes here.
void refuse_unsupported_options(const json& config, const std::string& source) {
  const bool gemma = config.contains("hidden_activation");
  const char* const key = gemma ? "hidden_activation" : "hidden_act";
  const char* const supported = gemma ? "gelu_pytorch_tanh" : "silu";
  if (json_find<std::string>(config, key, source).value_or(supported) != supported) {
    throw Error(source + ": " + quote(key) + ": only " + supported + " is supported");
  }
  if (json_object_find(config, "quantization_config", source) != nullptr) {
    throw Error(source +
                ": 'quantization_config': quantised Hugging Face weights are not "
                "supported; use the model's f32, f16 or bf16 weights, or a GGUF file");
  }
}

/// Whether each layer's attention has a window, [L], where config.json says so itself; empty where
/// it leaves that to the architecture.
std::optional<std::vector<bool>> windowed_layers(const json& config, const std::string& source,
                                                 std::size_t n_layers) {
  constexpr const char* kKey = "layer_types";
  const json* types = json_array_find(config, kKey, source);
  if (types == nullptr) return std::nullopt;
  if (types->size() != n_layers) {
    throw Error(source + ": " + quote(kKey) + ": expected a type for each of the " +
                std::to_string(n_layers) + " layers, found " + std::to_string(types->size()));
  }
  std::vector<bool> windowed;
  for (const json& type : *types) {
    if (type != "full_attention" && type != "sliding_attention") {
      throw Error(source + ": " + quote(kKey) + ": only full_attention and sliding_attention are " +
                  "supported, found " + quote(type.dump()));
    }
    windowed.push_back(type == "sliding_attention");
  }
  return windowed;
}

/// Every how many layers one differs from the others. Throws Error where nothing says it.
std::size_t read_interval(const json& config, const char* key, const std::string& source) {
  return in_range(json_at<std::uint64_t>(config, key, source), kMaxLayers,
                  source + ": " + quote(key));
}

/// ModelConfig::windows, with transformers' defaults; none where no text is longer than they are.
std::vector<std::size_t> read_windows(const json& config, const std::string& source,
                                      const ModelConfig& model) {
  constexpr const char* kKey = "sliding_window";
  constexpr std::uint64_t kDefaultWindow = 4096, kDefaultFullLayers = 28;
  const std::size_t n_layers = model.n_layers;
  const bool mistral = model.architecture == Architecture::mistral;
  const bool smollm3 = model.architecture == Architecture::smollm3;
  const bool phi3 = model.architecture == Architecture::phi3;
  const bool mixtral = model.architecture == Architecture::mixtral;
  const bool qwen3_moe = model.architecture == Architecture::qwen3_moe;
  const bool qwen =
      model.architecture == Architecture::qwen2 || model.architecture == Architecture::qwen3;
  const auto by_layer = windowed_layers(config, source, n_layers);
  const bool gemma =
      model.architecture == Architecture::gemma2 || model.architecture == Architecture::gemma3;
  const bool olmo3 = model.architecture == Architecture::olmo3;
  if (!mistral && !mixtral && !phi3 && !smollm3 && !qwen && !qwen3_moe && !gemma && !olmo3) {
    return {};
  }
  const bool used = json_find<bool>(config, "use_sliding_window", source).value_or(false);
  const bool none = config.contains(kKey) ? config[kKey].is_null() : smollm3 || phi3 || mixtral;
  std::vector<bool> windowed(n_layers);
  if (mistral || mixtral || phi3) {
    windowed.assign(n_layers, !none);
  } else if (qwen3_moe) {
    windowed.assign(n_layers, used && !none);
  } else if (by_layer) {
    windowed = *by_layer;
  } else if (olmo3) {
    windowed = but_every(4, n_layers);
  } else if (gemma) {
    windowed = but_every(read_interval(config, "sliding_window_pattern", source), n_layers);
  } else if (used && !none && qwen) {
    const std::size_t full =
        json_find<std::uint64_t>(config, "max_window_layers", source).value_or(kDefaultFullLayers);
    for (std::size_t layer = full; layer < n_layers; ++layer) windowed[layer] = true;
  } else if (used && !none && smollm3) {
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      windowed[layer] = !model.rotary_layers[layer];
    }
  }
  if (std::ranges::find(windowed, true) == windowed.end()) return {};
  if (none) {
    throw Error(source + ": 'layer_types' has sliding_attention, but 'sliding_window' is null");
  }
  const std::size_t window =
      in_range(json_find<std::uint64_t>(config, kKey, source).value_or(kDefaultWindow), kMaxContext,
               source + ": " + quote(kKey));
  if (window >= model.max_context && !model.window_rope) return {};
  std::vector<std::size_t> windows;
  for (const bool has_one : windowed) windows.push_back(has_one ? window : 0);
  return windows;
}

/// SmolLM3's layers whose queries and keys are rotated, [L], with transformers' defaults.
std::vector<bool> read_rotary_layers(const json& config, const std::string& source,
                                     std::size_t n_layers) {
  constexpr const char* kKey = "no_rope_layers";  // in spite of its name 1 where they are rotated
  const json* named = json_array_find(config, kKey, source);
  if (named == nullptr) {
    constexpr const char* kInterval = "no_rope_layer_interval";
    const std::size_t interval =
        in_range(json_find<std::uint64_t>(config, kInterval, source).value_or(4), kMaxLayers,
                 source + ": " + quote(kInterval));
    return but_every(interval, n_layers);
  }
  if (named->size() < n_layers) {
    throw Error(source + ": " + quote(kKey) + ": expected a number for each of the " +
                std::to_string(n_layers) + " layers, found " + std::to_string(named->size()));
  }
  std::vector<bool> rotary(n_layers);
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    const json& one = (*named)[layer];
    if (one != 0 && one != 1) {
      throw Error(source + ": " + quote(kKey) + ": expected 0 or 1 for layer " +
                  std::to_string(layer) + ", found " + quote(one.dump()));
    }
    rotary[layer] = one == 1;
  }
  return rotary;
}

/// The first of the keys that there is: transformers reads either name of some.
std::optional<std::uint64_t> first_of(const json& config, const std::string& source,
                                      std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const auto found = json_find<std::uint64_t>(config, key, source)) return found;
  }
  return std::nullopt;
}

/// Mixtral's experts, in every layer, with transformers' defaults.
void read_mixtral_experts(const json& config, const std::string& source, ModelConfig& model) {
  const auto number = [&](std::initializer_list<const char*> keys, std::uint64_t fallback) {
    return in_range(first_of(config, source, keys).value_or(fallback), kMaxExperts,
                    source + ": " + quote(*keys.begin()));
  };
  model.experts = {.count = number({"num_local_experts", "num_experts"}, 8),
                   .chosen = number({"num_experts_per_tok"}, 2),
                   .feed_forward_size = model.feed_forward_size,
                   .renormalised = true};
  model.expert_layers.assign(model.n_layers, true);
}

/// Qwen3's experts, with transformers' defaults: in the layers whose number, from 1, is a multiple
/// of decoder_sparse_step and which mlp_only_layers does not name.
void read_qwen3_experts(const json& config, const std::string& source, ModelConfig& model) {
  const auto number = [&](std::initializer_list<const char*> keys, std::uint64_t fallback,
                          std::size_t max) {
    return in_range(first_of(config, source, keys).value_or(fallback), max,
                    source + ": " + quote(*keys.begin()));
  };
  model.experts = {
      .count = number({"num_experts", "num_local_experts"}, 128, kMaxExperts),
      .chosen = number({"num_experts_per_tok"}, 8, kMaxExperts),
      .feed_forward_size = number({"moe_intermediate_size"}, 768, kMaxWidth),
      .renormalised = json_find<bool>(config, "norm_topk_prob", source).value_or(false)};
  const std::size_t step = number({"decoder_sparse_step"}, 1, kMaxLayers);
  for (std::size_t layer = 0; layer < model.n_layers; ++layer) {
    model.expert_layers.push_back((layer + 1) % step == 0);
  }
  constexpr const char* kDense = "mlp_only_layers";
  const json* dense = json_array_find(config, kDense, source);
  if (dense == nullptr) return;
  for (const json& layer : *dense) {
    if (!layer.is_number_unsigned()) {
      throw Error(source + ": " + quote(kDense) + ": expected numbers of layers, found " +
                  quote(layer.dump()));
    }
    // transformers passes over those that the model does not have
    const auto index = layer.get<std::uint64_t>();
    if (index < model.n_layers) model.expert_layers[index] = false;
  }
}

/// What the weights are stored in, as "bfloat16"; empty where it does not say.
std::string weight_type(const json& config, const std::string& source) {
  for (const char* key : {"dtype", "torch_dtype"}) {  // of transformers 5 and of those before
    if (const auto type = json_find<std::string>(config, key, source)) return *type;
  }
  return {};
}

}  // namespace

ModelConfig config_from_json(std::span<const std::byte> config_json, const std::string& source) {
  constexpr std::array kSupported{
      Architecture::llama,   Architecture::mistral,   Architecture::mixtral, Architecture::qwen2,
      Architecture::qwen3,   Architecture::qwen3_moe, Architecture::olmo2,   Architecture::olmo3,
      Architecture::smollm3, Architecture::phi3,      Architecture::gemma2,  Architecture::gemma3};
  json document = parse_json(config_json, source);
  settle_gemma_config(document, source);
  if (json_at<std::string>(document, "model_type", source) == "olmo3") {
    settle_rope_by_layer(document, source, kOlmo3Theta);
  }
  const auto dimension = [&](const char* key, std::size_t max) {
    return in_range(json_at<std::uint64_t>(document, key, source), max, source + ": " + quote(key));
  };
  const auto flag = [&](const char* key) {
    return json_find<bool>(document, key, source).value_or(false);
  };

  ModelConfig config;
  config.architecture = architecture_of(json_at<std::string>(document, "model_type", source),
                                        kSupported, source + ": 'model_type'");
  refuse_unsupported_options(document, source);
  config.n_layers = dimension("num_hidden_layers", kMaxLayers);
  config.hidden_size = dimension("hidden_size", kMaxWidth);
  config.feed_forward_size = dimension("intermediate_size", kMaxWidth);
  config.n_heads = dimension("num_attention_heads", kMaxHeads);
  config.n_kv_heads = in_range(
      json_find<std::uint64_t>(document, "num_key_value_heads", source).value_or(config.n_heads),
      kMaxHeads, source + ": 'num_key_value_heads'");
  auto head_dim = json_find<std::uint64_t>(document, "head_dim", source);
  const bool qwen3 = config.architecture == Architecture::qwen3;
  if (qwen3 && !head_dim) head_dim = 128;  // transformers' default
  config.head_dim = head_dim ? in_range(*head_dim, kMaxHeadDim, source + ": 'head_dim'")
                             : divided_head_dim(config, source + ": 'hidden_size'");
  config.max_context = dimension("max_position_embeddings", kMaxContext);
  config.vocab_size = dimension("vocab_size", kMaxVocabulary);
  config.norm_epsilon =
      positive(json_at<double>(document, "rms_norm_eps", source), source + ": 'rms_norm_eps'");

  const bool llama = config.architecture == Architecture::llama;
  const bool qwen2 = config.architecture == Architecture::qwen2;
  const bool olmo =
      config.architecture == Architecture::olmo2 || config.architecture == Architecture::olmo3;
  const bool smollm3 = config.architecture == Architecture::smollm3;
  const bool gemma =
      config.architecture == Architecture::gemma2 || config.architecture == Architecture::gemma3;
  const bool mixtral = config.architecture == Architecture::mixtral;
  const bool qwen3_moe = config.architecture == Architecture::qwen3_moe;
  config.tied_embeddings =
      json_find<bool>(document, "tie_word_embeddings", source).value_or(smollm3);
  config.output_bias =
      (llama || qwen3 || olmo || smollm3 || qwen3_moe || gemma) && flag("attention_bias");
  config.attention_bias = qwen2 || config.output_bias;
  settle_architecture(config);
  config.feed_forward_bias = (llama || smollm3) && flag("mlp_bias");
  config.bf16_layers = weight_type(document, source) == "bfloat16";
  config.fused_projections = config.architecture == Architecture::phi3;
  config.rope = read_rope(document, source, config);
  if (document.contains("window_rope_parameters")) {
    json windowed = {{"rope_parameters", document["window_rope_parameters"]}};
    config.window_rope = read_rope(windowed, source, config);
  }
  if (gemma) read_gemma_config(document, source, config);
  if (mixtral) read_mixtral_experts(document, source, config);
  if (qwen3_moe) read_qwen3_experts(document, source, config);
  if (smollm3) config.rotary_layers = read_rotary_layers(document, source, config.n_layers);
  check_config(config, source);
  stretch_max_context(config);
  config.windows = read_windows(document, source, config);
  return config;
}

}  // namespace longshadow
