#include <array>
#include <cmath>
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
  template <class T>
  bool holds(const std::string& key) const {
    const auto found = gguf_.metadata.find(prefix_ + key);
    return found != gguf_.metadata.end() && std::holds_alternative<T>(found->second);
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
                                            std::size_t rotated) {
  const std::string where = gguf.source + ": tensor " + quote(tensor.name);
  if (tensor.type != StorageType::f32 || tensor.shape != std::vector{rotated / 2}) {
    throw Error(where + ": expected F32 [" + std::to_string(rotated / 2) + "], found " +
                std::string(name_of(tensor.type)) + " " + describe_shape(tensor.shape));
  }
  std::vector<float> stored(rotated / 2);
  dequantize(tensor, 0, stored);
  std::vector<double> divisors;
  for (const float divisor : stored) divisors.push_back(positive(divisor, where));
  return divisors;
}

RopeScaling scaling_of(const ArchitectureKeys& keys, double factor, bool phi3) {
  const auto* const type = keys.find<std::string>("rope.scaling.type");
  if (phi3 && type != nullptr && *type == "longrope") return RopeScaling::longrope;
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

/// Elements of a head that are rotated.
std::size_t read_rotated_elements(const ArchitectureKeys& keys, const ModelConfig& config) {
  constexpr const char* kKey = "rope.dimension_count";
  const std::size_t rotated = keys.dimension_or(kKey, config.head_dim, kMaxHeadDim);
  if (rotated != config.head_dim && config.architecture != Architecture::phi3) {
    throw Error(keys.place(kKey) + ": expected the head size, " + std::to_string(config.head_dim) +
                ": partly rotated heads are not supported in a " + name_of(config.architecture) +
                " model");
  }
  return rotated;
}

/// Phi-3's divisors, by whose presence llama.cpp knows longrope.
void read_longrope(const Gguf& gguf, const ArchitectureKeys& keys, std::size_t rotated,
                   ModelConfig& config) {
  const StoredTensor* const of_short = gguf.find("rope_factors_short.weight");
  const StoredTensor* const of_long = gguf.find("rope_factors_long.weight");
  RopeConfig& rope = config.rope;
  if (of_short == nullptr && of_long == nullptr && rope.scaling != RopeScaling::longrope) return;
  if (of_short == nullptr || of_long == nullptr ||
      (rope.scaling != RopeScaling::none && rope.scaling != RopeScaling::longrope)) {
    throw Error(gguf.source +
                ": expected the tensors rope_factors_short.weight and rope_factors_long.weight "
                "together, and no other rope scaling beside them");
  }
  rope.scaling = RopeScaling::longrope;
  rope.original_context =
      keys.dimension_or("rope.scaling.original_context_length", config.max_context, kMaxContext);
  rope.short_divisors = read_frequency_divisors(gguf, *of_short, rotated);
  rope.long_divisors = read_frequency_divisors(gguf, *of_long, rotated);
}

void read_rope(const Gguf& gguf, const ArchitectureKeys& keys, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  rope.theta = keys.positive_number_or("rope.freq_base", 10000.0);
  const std::size_t rotated = read_rotated_elements(keys, config);
  if (rotated != config.head_dim) rope.rotated_elements = rotated;
  const double factor = keys.positive_number_or("rope.scaling.factor",
                                                keys.positive_number_or("rope.scale_linear", 1.0));
  rope.scaling = scaling_of(keys, factor, config.architecture == Architecture::phi3);
  if (rope.scaling != RopeScaling::none) rope.factor = factor;
  rope.attention_factor = keys.positive_number_or("rope.scaling.attn_factor", 1.0);
  if (rope.scaling == RopeScaling::yarn) read_yarn(keys, config);
  if (const StoredTensor* tensor = gguf.find("rope_freqs.weight")) {
    if (rope.scaling != RopeScaling::none) {
      throw Error(gguf.source + ": rope scaling together with rope_freqs.weight is not supported");
    }
    rope.scaling = RopeScaling::llama3;
    rope.frequency_divisors = read_frequency_divisors(gguf, *tensor, rotated);
  }
  if (config.architecture == Architecture::phi3) read_longrope(gguf, keys, rotated, config);
}

constexpr const char* kWindow = "attention.sliding_window";

/// The windows of a model of which every so many layers one has none: `interval`, or the number or
/// the list of layers that the file gives.
void read_windows(const ArchitectureKeys& keys, std::size_t interval, ModelConfig& config) {
  constexpr const char* kPattern = "attention.sliding_window_pattern";
  const std::size_t window = keys.dimension_or(kWindow, 4096, kMaxContext);
  std::vector<bool> windowed;
  if (keys.holds<std::vector<bool>>(kPattern)) {
    windowed = *keys.find<std::vector<bool>>(kPattern);
    if (windowed.size() != config.n_layers) {
      throw Error(keys.place(kPattern) + ": expected an entry for each of the " +
                  std::to_string(config.n_layers) + " layers, found " +
                  std::to_string(windowed.size()));
    }
  } else {
    windowed = but_every(keys.dimension_or(kPattern, interval, kMaxLayers), config.n_layers);
  }
  for (const bool has_one : windowed) config.windows.push_back(has_one ? window : 0);
}

/// OLMo 3's windows, whose layers' frequencies nothing stretches.
void read_olmo3(const ArchitectureKeys& keys, ModelConfig& config) {
  if (config.architecture != Architecture::olmo3) return;
  read_windows(keys, 4, config);
  config.window_rope.emplace();
  config.window_rope->theta = keys.positive_number_or("rope.freq_base", 10000.0);
}

/// llama.cpp's defaults and what it takes from the number of layers, which no key says: of the
/// largest models the scores' scale is not the head size's.
void read_gemma(const ArchitectureKeys& keys, ModelConfig& config) {
  const bool gemma2 = config.architecture == Architecture::gemma2;
  if (!gemma2 && config.architecture != Architecture::gemma3) return;
  const std::size_t largest = gemma2 ? 46 : 62;  // layers of the models of 27B
  const std::size_t scalar =
      config.n_layers == largest ? config.hidden_size / config.n_heads : config.head_dim;
  config.attention_scale = 1 / std::sqrt(static_cast<double>(scalar));
  if (gemma2) {
    config.attention_score_cap = keys.positive_number_or("attn_logit_softcapping", 50);
    config.logit_cap = keys.positive_number_or("final_logit_softcapping", 30);
  } else if (keys.find<double>("final_logit_softcapping") != nullptr) {
    config.logit_cap = keys.positive_number("final_logit_softcapping");
  }
  if (!gemma2 && keys.find<std::uint64_t>(kWindow) == nullptr) return;
  read_windows(keys, gemma2 ? 2 : 6, config);
  if (gemma2) return;
  config.window_rope.emplace();
  config.window_rope->theta = keys.positive_number_or("rope.freq_base_swa", 10000.0);
}

/// Which architecture the file is of; its experts make a llama a Mixtral, its window an OLMo 2 an
/// OLMo 3.
Architecture read_architecture(const Gguf& gguf, const std::string& name) {
  // Mistral's and Mixtral's files call themselves llama.
  constexpr std::array kSupported{
      Architecture::llama,     Architecture::qwen2,  Architecture::qwen3,
      Architecture::qwen3_moe, Architecture::olmo2,  Architecture::smollm3,
      Architecture::phi3,      Architecture::gemma2, Architecture::gemma3};
  const std::string known = name == "qwen3moe" ? name_of(Architecture::qwen3_moe) : name;
  const Architecture architecture =
      architecture_of(known, kSupported, gguf.source + ": 'general.architecture'");
  const auto* experts = gguf.find_value<std::uint64_t>(name + ".expert_count");
  const bool has_experts = experts != nullptr && *experts > 0;
  if (architecture == Architecture::llama && has_experts) return Architecture::mixtral;
  const auto* window = gguf.find_value<std::uint64_t>(name + "." + kWindow);
  const bool has_window = window != nullptr && *window > 0;
  return architecture == Architecture::olmo2 && has_window ? Architecture::olmo3 : architecture;
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
  settle_architecture(config);
  read_gemma(keys, config);
  read_olmo3(keys, config);
  if (config.architecture == Architecture::smollm3) {
    // A file does not say which; llama.cpp leaves every fourth layer as it is.
    config.rotary_layers = but_every(4, config.n_layers);
  }
  config.fused_projections = config.architecture == Architecture::phi3;
  config.output_bias = gguf.find("blk.0.attn_output.bias") != nullptr;
  config.feed_forward_bias = gguf.find("blk.0.ffn_down.bias") != nullptr;
  read_rope(gguf, keys, config);
  check_config(config, gguf.source);
  stretch_max_context(config);
  if (const auto* window = keys.find<std::uint64_t>("attention.sliding_window");
      config.architecture == Architecture::phi3 && window && *window != 0 &&
      *window < config.max_context) {
    config.windows.assign(config.n_layers, *window);
  }
  return config;
}

}  // namespace longshadow
