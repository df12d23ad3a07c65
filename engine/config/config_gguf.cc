#include <array>
#include <cstdint>

#include "engine/config/config_checks.h"
#include "engine/core/error.h"
#include "engine/io/gguf.h"
#include "engine/quantization/dequantize.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

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

std::size_t read_head_dim(const ArchitectureKeys& keys, const ModelConfig& config) {
  constexpr const char* kKeys = "attention.key_length";
  constexpr const char* kValues = "attention.value_length";
  const std::size_t head_dim = keys.find<std::uint64_t>(kKeys) != nullptr
                                   ? keys.dimension(kKeys, kMaxHeadDim)
                                   : divided_head_dim(config, keys.place("embedding_length"));
  if (keys.dimension_or(kValues, head_dim, kMaxHeadDim) != head_dim) {
    throw Error(keys.place(kValues) + ": expected the key length, " + std::to_string(head_dim));
  }
  return head_dim;
}

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

RopeScaling scaling_of(const ArchitectureKeys& keys, double factor) {
  const auto* const type = keys.find<std::string>("rope.scaling.type");
  if (type != nullptr && *type == "none") return RopeScaling::none;
  if (type != nullptr && *type == "yarn") return RopeScaling::yarn;
  if (type != nullptr && *type != "linear") {
    throw Error(keys.place("rope.scaling.type") + ": the rope type " + quote(*type) +
                " is not supported; expected none, linear or yarn");
  }
  // A factor without a type means linear, as do the files written before there was a type.
  return factor == 1.0 ? RopeScaling::none : RopeScaling::linear;
}

/// llama.cpp reads these numbers of yarn for other architectures and takes its own for ours, so
/// that a file with other ones is told of.
void read_yarn(const ArchitectureKeys& keys, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  rope.original_context =
      keys.dimension_or("rope.scaling.original_context_length", config.max_context, kMaxContext);
  rope.attention_factor *= yarn_attention_factor(rope.factor);
  const std::pair<const char*, double> fixed[] = {{"rope.scaling.yarn_beta_fast", rope.beta_fast},
                                                  {"rope.scaling.yarn_beta_slow", rope.beta_slow},
                                                  {"rope.scaling.yarn_ext_factor", 1.0},
                                                  {"rope.scaling.yarn_attn_factor", 1.0},
                                                  {"rope.scaling.yarn_log_multiplier", 0.0}};
  for (const auto& [key, value] : fixed) {
    const auto* const found = keys.find<double>(key);
    if (found != nullptr && *found != value) {
      config.warnings.push_back(keys.place(key) + ": " + std::to_string(*found) +
                                " is left aside, as llama.cpp does for this architecture; " +
                                std::to_string(value) + " is used");
    }
  }
}

void read_rope(const Gguf& gguf, const ArchitectureKeys& keys, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  rope.theta = keys.positive_number_or("rope.freq_base", 10000.0);
  if (keys.dimension_or("rope.dimension_count", config.head_dim, kMaxHeadDim) != config.head_dim) {
    throw Error(keys.place("rope.dimension_count") + ": expected the head size, " +
                std::to_string(config.head_dim) + ": partly rotated heads are not supported");
  }
  const double factor = keys.positive_number_or("rope.scaling.factor",
                                                keys.positive_number_or("rope.scale_linear", 1.0));
  rope.scaling = scaling_of(keys, factor);
  if (rope.scaling != RopeScaling::none) rope.factor = factor;
  rope.attention_factor = keys.positive_number_or("rope.scaling.attn_factor", 1.0);
  if (rope.scaling == RopeScaling::yarn) read_yarn(keys, config);
  if (const StoredTensor* tensor = gguf.find("rope_freqs.weight")) {
    if (rope.scaling != RopeScaling::none) {
      throw Error(gguf.source + ": rope scaling together with rope_freqs.weight is not supported");
    }
    rope.scaling = RopeScaling::llama3;
    rope.frequency_divisors = read_frequency_divisors(gguf, *tensor, config.head_dim);
  }
}

/// Which architecture the file is of; its experts make a llama a Mixtral.
Architecture read_architecture(const Gguf& gguf, const std::string& name) {
  // Mistral's and Mixtral's files call themselves llama.
  constexpr std::array kSupported{Architecture::llama,   Architecture::qwen2,
                                  Architecture::qwen3,   Architecture::olmo2,
                                  Architecture::smollm3, Architecture::qwen3_moe};
  const std::string known = name == "qwen3moe" ? name_of(Architecture::qwen3_moe) : name;
  const Architecture architecture =
      architecture_of(known, kSupported, gguf.source + ": 'general.architecture'");
  const auto* experts = gguf.find_value<std::uint64_t>(name + ".expert_count");
  const bool has_experts = experts != nullptr && *experts > 0;
  return architecture == Architecture::llama && has_experts ? Architecture::mixtral : architecture;
}

/// Experts in every layer, weighed by a softmax over the chosen: as llama.cpp does, whatever the
/// model that the file was converted from.
void read_experts(const ArchitectureKeys& keys, ModelConfig& config) {
  constexpr const char* kCount = "expert_count";
  const bool qwen3 = config.architecture == Architecture::qwen3_moe;
  if (config.architecture != Architecture::mixtral && !qwen3) {
    if (const auto* count = keys.find<std::uint64_t>(kCount); count != nullptr && *count > 0) {
      throw Error(keys.place(kCount) +
                  ": experts are supported in files of the architectures "
                  "llama and qwen3moe alone; expected 0, found " +
                  std::to_string(*count));
    }
    return;
  }
  ExpertsConfig& experts = config.experts;
  experts.count = keys.dimension(kCount, kMaxExperts);
  experts.chosen = keys.dimension("expert_used_count", kMaxExperts);
  experts.feed_forward_size = config.feed_forward_size;
  if (qwen3) {
    experts.feed_forward_size = keys.dimension_or(
        "expert_feed_forward_length", config.feed_forward_size / experts.chosen, kMaxWidth);
  }
  config.expert_layers.assign(config.n_layers, true);
}

void refuse_other_types(const Gguf& gguf) {
  const auto* const type = gguf.find_value<std::string>("general.type");
  if (type == nullptr || *type == "model") return;
  throw Error(
      gguf.source + ": 'general.type': expected a model, found " + quote(*type) +
      (*type == "adapter"
           ? "; merge it into its model with llama.cpp's llama-export-lora and give that file"
           : "; give the file of the model that it belongs to"));
}

}  // namespace

ModelConfig config_from_gguf(const Gguf& gguf) {
  refuse_other_types(gguf);
  const auto& architecture = gguf.at<std::string>("general.architecture");
  ModelConfig config;
  config.architecture = read_architecture(gguf, architecture);
  if (const auto* name = gguf.find_value<std::string>("general.name")) config.name = *name;

  const ArchitectureKeys keys(gguf, architecture);
  config.n_layers = keys.dimension("block_count", kMaxLayers);
  config.hidden_size = keys.dimension("embedding_length", kMaxWidth);
  config.feed_forward_size = keys.dimension("feed_forward_length", kMaxWidth);
  config.n_heads = keys.dimension("attention.head_count", kMaxHeads);
  config.n_kv_heads = keys.dimension_or("attention.head_count_kv", config.n_heads, kMaxHeads);
  config.head_dim = read_head_dim(keys, config);
  config.max_context = keys.dimension("context_length", kMaxContext);
  config.norm_epsilon = keys.positive_number("attention.layer_norm_rms_epsilon");
  config.vocab_size = keys.dimension_or(
      "vocab_size", gguf.at<std::vector<std::string>>("tokenizer.ggml.tokens").size(),
      kMaxVocabulary);
  read_experts(keys, config);

  config.tied_embeddings = gguf.find("output.weight") == nullptr;
  config.attention_bias =
      config.architecture == Architecture::qwen2 || gguf.find("blk.0.attn_q.bias") != nullptr;
  place_norms(config);
  if (config.architecture == Architecture::smollm3) {
    // A file does not say which; llama.cpp leaves every fourth layer as it is.
    config.rotary_layers = rotary_but_every(4, config.n_layers);
  }
  config.output_bias = gguf.find("blk.0.attn_output.bias") != nullptr;
  config.feed_forward_bias = gguf.find("blk.0.ffn_down.bias") != nullptr;
  read_rope(gguf, keys, config);
  check_config(config, gguf.source);
  stretch_max_context(config);
  return config;
}

}  // namespace longshadow
