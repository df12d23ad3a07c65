#include "engine/model/config.h"

#include <cmath>
#include <cstdint>

#include "engine/core/error.h"
#include "engine/io/gguf.h"
#include "engine/io/json.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

using nlohmann::json;

// Several times the largest published models: what is beyond is a malformed file, and below them no
// product of two dimensions overflows.
constexpr std::size_t kMaxLayers = 1024;
constexpr std::size_t kMaxHeads = 4096;
constexpr std::size_t kMaxHeadDim = 4096;
constexpr std::size_t kMaxWidth = std::size_t{1} << 20;  // of the residual stream and feed-forward
constexpr std::size_t kMaxVocabulary = std::size_t{1} << 24;
constexpr std::size_t kMaxContext = std::size_t{1} << 31;  // positions fit 32 bits

std::size_t in_range(std::uint64_t value, std::size_t max, const std::string& where) {
  if (value < 1 || value > max) {
    throw Error(where + ": expected 1 to " + std::to_string(max) + ", found " +
                std::to_string(value));
  }
  return value;
}

double positive(double value, const std::string& where) {
  if (!std::isfinite(value) || value <= 0) {
    throw Error(where + ": expected a positive number, found " + std::to_string(value));
  }
  return value;
}

Architecture architecture_of(const std::string& name, const std::string& where) {
  for (const Architecture known : {Architecture::llama, Architecture::qwen2}) {
    if (name == name_of(known)) return known;
  }
  throw Error(where + ": the architecture " + quote(name) +
              " is not supported; expected llama or qwen2");
}

/// What must hold between the dimensions, however they were stored.
void check_heads(const ModelConfig& config, const std::string& source) {
  if (config.hidden_size % config.n_heads != 0) {
    throw Error(source + ": expected a hidden size that the " + std::to_string(config.n_heads) +
                " heads divide, found " + std::to_string(config.hidden_size));
  }
  if (config.n_heads % config.n_kv_heads != 0) {
    throw Error(source + ": expected a number of heads that the " +
                std::to_string(config.n_kv_heads) + " key-value heads divide, found " +
                std::to_string(config.n_heads));
  }
  if (config.head_dim % 2 != 0) {
    throw Error(source + ": expected an even head size, for rotary pairs, found " +
                std::to_string(config.head_dim));
  }
}

/// The metadata of one architecture: keys are given without its name, which prefixes them.
class ArchitectureKeys {
 public:
  ArchitectureKeys(const Gguf& gguf, const std::string& architecture)
      : gguf_(gguf), prefix_(architecture + ".") {}

  std::string place(const std::string& key) const {
    return gguf_.source + ": " + quote(prefix_ + key);
  }
  template <class T>
  const T* find(const std::string& key) const {
    return gguf_.find_value<T>(prefix_ + key);
  }
  std::size_t dimension(const std::string& key, std::size_t max) const {
    return in_range(gguf_.at<std::uint64_t>(prefix_ + key), max, place(key));
  }
  std::size_t dimension_or(const std::string& key, std::size_t fallback, std::size_t max) const {
    return in_range(value_or<std::uint64_t>(key, fallback), max, place(key));
  }
  double positive_number(const std::string& key) const {
    return positive(gguf_.at<double>(prefix_ + key), place(key));
  }
  double positive_number_or(const std::string& key, double fallback) const {
    return positive(value_or<double>(key, fallback), place(key));
  }

 private:
  template <class T>
  T value_or(const std::string& key, T fallback) const {
    const T* value = find<T>(key);
    return value == nullptr ? fallback : *value;
  }

  const Gguf& gguf_;
  std::string prefix_;
};

std::vector<double> read_frequency_divisors(const Gguf& gguf, const StoredTensor& tensor,
                                            std::size_t head_dim) {
  const std::string where = gguf.source + ": tensor " + quote(tensor.name);
  if (tensor.type != StorageType::f32 || tensor.shape != std::vector{head_dim / 2}) {
    throw Error(where + ": expected F32 [" + std::to_string(head_dim / 2) + "], found " +
                std::string(name_of(tensor.type)) + " " + describe_shape(tensor.shape));
  }
  std::vector<float> stored(head_dim / 2);
  dequantize(tensor, 0, stored);
  std::vector<double> divisors;
  for (const float divisor : stored) divisors.push_back(positive(divisor, where));
  return divisors;
}

RopeConfig rope_from_gguf(const Gguf& gguf, const ArchitectureKeys& keys, std::size_t head_dim) {
  RopeConfig rope;
  rope.theta = keys.positive_number_or("rope.freq_base", 10000.0);
  if (keys.dimension_or("rope.dimension_count", head_dim, kMaxHeadDim) != head_dim) {
    throw Error(keys.place("rope.dimension_count") + ": expected the head size, " +
                std::to_string(head_dim) + ": partly rotated heads are not supported");
  }
  // A factor without a type means linear, as do the files written before there was a type.
  const auto* const type = keys.find<std::string>("rope.scaling.type");
  if (type != nullptr && *type != "none" && *type != "linear") {
    throw Error(keys.place("rope.scaling.type") + ": the rope type " + quote(*type) +
                " is not supported; expected none or linear");
  }
  if (type == nullptr || *type == "linear") {
    rope.factor = keys.positive_number_or("rope.scaling.factor",
                                          keys.positive_number_or("rope.scale_linear", 1.0));
    if (rope.factor != 1.0) rope.scaling = RopeScaling::linear;
  }
  if (const StoredTensor* tensor = gguf.find("rope_freqs.weight")) {
    if (rope.scaling == RopeScaling::linear) {
      throw Error(gguf.source +
                  ": linear rope scaling together with rope_freqs.weight is not supported");
    }
    rope.scaling = RopeScaling::llama3;
    rope.frequency_divisors = read_frequency_divisors(gguf, *tensor, head_dim);
  }
  return rope;
}

/// The rope type "linear" or "llama3" with its numbers; `parameters` is the object that has them.
void read_rope_scaling(const json& parameters, const std::string& where, RopeConfig& rope) {
  // `type` is the older spelling of `rope_type`.
  const auto old_type = json_find<std::string>(parameters, "type", where);
  const std::string type =
      json_find<std::string>(parameters, "rope_type", where).value_or(old_type.value_or("default"));
  const auto number = [&](const char* key) {
    return positive(json_at<double>(parameters, key, where), where + ": " + quote(key));
  };
  if (type == "default") return;
  if (type != "linear" && type != "llama3") {
    throw Error(where + ": the rope type " + quote(type) +
                " is not supported; expected default, linear or llama3");
  }
  rope.scaling = type == "linear" ? RopeScaling::linear : RopeScaling::llama3;
  rope.factor = number("factor");
  if (rope.scaling == RopeScaling::linear) return;
  rope.low_frequency_factor = number("low_freq_factor");
  rope.high_frequency_factor = number("high_freq_factor");
  if (rope.low_frequency_factor >= rope.high_frequency_factor) {
    throw Error(where + ": expected low_freq_factor below high_freq_factor, found " +
                std::to_string(rope.low_frequency_factor) + " and " +
                std::to_string(rope.high_frequency_factor));
  }
  constexpr const char* kOriginalContext = "original_max_position_embeddings";
  rope.original_context = in_range(json_at<std::uint64_t>(parameters, kOriginalContext, where),
                                   kMaxContext, where + ": " + quote(kOriginalContext));
}

RopeConfig rope_from_json(const json& config, const std::string& source) {
  RopeConfig rope;
  // transformers 5 keeps everything in rope_parameters; before, rope_theta stood beside
  // rope_scaling.
  std::string where = source + ": 'rope_parameters'";
  const json* parameters = json_object_find(config, "rope_parameters", source);
  if (parameters == nullptr) {
    where = source + ": 'rope_scaling'";
    parameters = json_object_find(config, "rope_scaling", source);
  }
  rope.theta = json_find<double>(config, "rope_theta", source).value_or(rope.theta);
  if (parameters != nullptr) {
    rope.theta = json_find<double>(*parameters, "rope_theta", where).value_or(rope.theta);
    read_rope_scaling(*parameters, where, rope);
  }
  positive(rope.theta, source + ": 'rope_theta'");
  for (const json* holder : {&config, parameters}) {
    if (holder != nullptr &&
        json_find<double>(*holder, "partial_rotary_factor", source).value_or(1.0) != 1.0) {
      throw Error(source + ": 'partial_rotary_factor': partly rotated heads are not supported");
    }
  }
  return rope;
}

/// Options of the architectures that change what the model computes and that nobody computes here.
void refuse_unsupported_options(const json& config, const std::string& source) {
  if (json_find<std::string>(config, "hidden_act", source).value_or("silu") != "silu") {
    throw Error(source + ": 'hidden_act': only silu is supported");
  }
  if (json_find<bool>(config, "mlp_bias", source).value_or(false)) {
    throw Error(source + ": 'mlp_bias': feed-forward biases are not supported");
  }
  if (json_find<bool>(config, "use_sliding_window", source).value_or(false)) {
    throw Error(source + ": 'use_sliding_window': sliding-window attention is not supported");
  }
  if (const json* types = json_array_find(config, "layer_types", source)) {
    for (const json& type : *types) {
      if (type != "full_attention") {
        throw Error(source + ": 'layer_types': only full_attention is supported, found " +
                    quote(type.dump()));
      }
    }
  }
  if (json_object_find(config, "quantization_config", source) != nullptr) {
    throw Error(source +
                ": 'quantization_config': quantised Hugging Face weights are not "
                "supported; use the model's f32, f16 or bf16 weights, or a GGUF file");
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

const char* name_of(Architecture architecture) {
  return architecture == Architecture::llama ? "llama" : "qwen2";
}

ModelConfig config_from_gguf(const Gguf& gguf) {
  const auto& architecture = gguf.at<std::string>("general.architecture");
  ModelConfig config;
  config.architecture = architecture_of(architecture, gguf.source + ": 'general.architecture'");
  if (const auto* name = gguf.find_value<std::string>("general.name")) config.name = *name;

  const ArchitectureKeys keys(gguf, architecture);
  config.n_layers = keys.dimension("block_count", kMaxLayers);
  config.hidden_size = keys.dimension("embedding_length", kMaxWidth);
  config.feed_forward_size = keys.dimension("feed_forward_length", kMaxWidth);
  config.n_heads = keys.dimension("attention.head_count", kMaxHeads);
  config.n_kv_heads = keys.dimension_or("attention.head_count_kv", config.n_heads, kMaxHeads);
  config.head_dim =
      keys.dimension_or("attention.key_length", config.hidden_size / config.n_heads, kMaxHeadDim);
  if (keys.dimension_or("attention.value_length", config.head_dim, kMaxHeadDim) !=
      config.head_dim) {
    throw Error(keys.place("attention.value_length") + ": expected the key length, " +
                std::to_string(config.head_dim));
  }
  config.max_context = keys.dimension("context_length", kMaxContext);
  config.norm_epsilon = keys.positive_number("attention.layer_norm_rms_epsilon");
  config.vocab_size = keys.dimension_or(
      "vocab_size", gguf.at<std::vector<std::string>>("tokenizer.ggml.tokens").size(),
      kMaxVocabulary);
  if (const auto* experts = keys.find<std::uint64_t>("expert_count"); experts && *experts > 0) {
    throw Error(keys.place("expert_count") + ": mixtures of experts are not supported");
  }
  check_heads(config, gguf.source);

  config.tied_embeddings = gguf.find("output.weight") == nullptr;
  config.attention_bias =
      config.architecture == Architecture::qwen2 || gguf.find("blk.0.attn_q.bias") != nullptr;
  config.rope = rope_from_gguf(gguf, keys, config.head_dim);
  return config;
}

ModelConfig config_from_json(std::span<const std::byte> config_json, const std::string& source) {
  const json document = parse_json(config_json, source);
  const auto dimension = [&](const char* key, std::size_t max) {
    return in_range(json_at<std::uint64_t>(document, key, source), max, source + ": " + quote(key));
  };
  const auto dimension_or = [&](const char* key, std::size_t fallback, std::size_t max) {
    return in_range(json_find<std::uint64_t>(document, key, source).value_or(fallback), max,
                    source + ": " + quote(key));
  };

  ModelConfig config;
  config.architecture = architecture_of(json_at<std::string>(document, "model_type", source),
                                        source + ": 'model_type'");
  refuse_unsupported_options(document, source);
  config.n_layers = dimension("num_hidden_layers", kMaxLayers);
  config.hidden_size = dimension("hidden_size", kMaxWidth);
  config.feed_forward_size = dimension("intermediate_size", kMaxWidth);
  config.n_heads = dimension("num_attention_heads", kMaxHeads);
  config.n_kv_heads = dimension_or("num_key_value_heads", config.n_heads, kMaxHeads);
  config.head_dim = dimension_or("head_dim", config.hidden_size / config.n_heads, kMaxHeadDim);
  config.max_context = dimension("max_position_embeddings", kMaxContext);
  config.vocab_size = dimension("vocab_size", kMaxVocabulary);
  config.norm_epsilon =
      positive(json_at<double>(document, "rms_norm_eps", source), source + ": 'rms_norm_eps'");
  check_heads(config, source);

  config.tied_embeddings = json_find<bool>(document, "tie_word_embeddings", source).value_or(false);
  config.attention_bias = config.architecture == Architecture::qwen2 ||
                          json_find<bool>(document, "attention_bias", source).value_or(false);
  config.bf16_layers = weight_type(document, source) == "bfloat16";
  config.rope = rope_from_json(document, source);
  return config;
}

}  // namespace longshadow
