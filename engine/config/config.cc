#include "engine/config/config.h"

#include <algorithm>
#include <cmath>

#include "engine/config/config_checks.h"
#include "engine/core/error.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

void check_heads(const ModelConfig& config, const std::string& source) {
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

void check_divisors(const std::vector<double>& divisors, std::size_t n_pairs,
                    const std::string& where) {
  if (divisors.size() == n_pairs) return;
  throw Error(where + ": expected a number for each of the " + std::to_string(n_pairs) +
              " rotated pairs of a head, found " + std::to_string(divisors.size()));
}

void check_rope(const ModelConfig& config, const std::string& source) {
  const RopeConfig& rope = config.rope;
  const std::size_t rotated = rope.rotated_elements == 0 ? config.head_dim : rope.rotated_elements;
  if (rotated > config.head_dim || rotated % 2 != 0) {
    throw Error(source + ": expected an even number of rotated elements, of the " +
                std::to_string(config.head_dim) + " of a head, found " + std::to_string(rotated));
  }
  // The attention factor divides by the context's logarithm.
  if (rope.scaling == RopeScaling::longrope && rope.original_context < 2) {
    throw Error(source +
                ": expected an original context of at least 2 tokens for longrope, found " +
                std::to_string(rope.original_context));
  }
  if (rope.scaling == RopeScaling::longrope) {
    check_divisors(rope.short_divisors, rotated / 2, source + ": longrope's short factors");
    check_divisors(rope.long_divisors, rotated / 2, source + ": longrope's long factors");
  }
  if (rope.scaling == RopeScaling::llama3 && rope.frequency_divisors.empty() &&
      rope.low_frequency_factor >= rope.high_frequency_factor) {
    throw Error(source + ": expected low_freq_factor below high_freq_factor, found " +
                std::to_string(rope.low_frequency_factor) + " and " +
                std::to_string(rope.high_frequency_factor));
  }
  // Where pairs stand is found by the base's logarithm.
  if (rope.scaling == RopeScaling::yarn && rope.theta <= 1) {
    throw Error(source + ": expected a rotary base above 1 for yarn, found " +
                std::to_string(rope.theta));
  }
  // theta grows by a power of d / (d - 2).
  if (rope.scaling == RopeScaling::dynamic && (config.head_dim < 4 || rope.factor < 1)) {
    throw Error(source +
                ": expected a head size of at least 4 and a factor of at least 1 for dynamic rope "
                "scaling, found " +
                std::to_string(config.head_dim) + " and " + std::to_string(rope.factor));
  }
}

void check_experts(const ModelConfig& config, const std::string& source) {
  if (config.experts.count * config.n_layers > kMaxExpertsOfLayers) {
    throw Error(source + ": expected at most " + std::to_string(kMaxExpertsOfLayers) +
                " experts in all layers, found " +
                std::to_string(config.experts.count * config.n_layers));
  }
  if (config.experts.chosen > config.experts.count) {
    throw Error(source + ": expected at most the " + std::to_string(config.experts.count) +
                " experts that there are for each token, found " +
                std::to_string(config.experts.chosen));
  }
}

}  // namespace

const char* name_of(Architecture architecture) {
  switch (architecture) {
    case Architecture::llama:
      return "llama";
    case Architecture::mistral:
      return "mistral";
    case Architecture::qwen2:
      return "qwen2";
    case Architecture::qwen3:
      return "qwen3";
    case Architecture::olmo2:
      return "olmo2";
    case Architecture::olmo3:
      return "olmo3";
    case Architecture::smollm3:
      return "smollm3";
    case Architecture::phi3:
      return "phi3";
    case Architecture::gemma2:
      return "gemma2";
    case Architecture::gemma3:
      return "gemma3";
    case Architecture::mixtral:
      return "mixtral";
    case Architecture::qwen3_moe:
      return "qwen3_moe";
  }
  return "";
}

const char* name_of(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::none:
      return "none";
    case RopeScaling::linear:
      return "linear";
    case RopeScaling::dynamic:
      return "dynamic";
    case RopeScaling::yarn:
      return "yarn";
    case RopeScaling::llama3:
      return "llama3";
    case RopeScaling::longrope:
      return "longrope";
  }
  return "";
}

std::string describe_max_context(const ModelConfig& config) {
  return "the model was trained to read " + std::to_string(config.max_context);
}

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

Architecture architecture_of(const std::string& name, std::span<const Architecture> supported,
                             const std::string& where) {
  std::string names;
  for (const Architecture known : supported) {
    if (name == name_of(known)) return known;
    names += (names.empty() ? "" : ", ") + std::string(name_of(known));
  }
  throw Error(where + ": the architecture " + quote(name) +
              " is not supported; choose a model of one of these: " + names);
}

std::size_t divided_head_dim(const ModelConfig& config, const std::string& where) {
  if (config.hidden_size % config.n_heads != 0) {
    throw Error(where + ": expected a hidden size that the " + std::to_string(config.n_heads) +
                " heads divide, found " + std::to_string(config.hidden_size));
  }
  return in_range(config.hidden_size / config.n_heads, kMaxHeadDim, where);
}

void check_config(const ModelConfig& config, const std::string& source) {
  check_heads(config, source);
  check_rope(config, source);
  check_experts(config, source);
}

double longrope_attention_factor(double factor, std::size_t original_context) {
  return factor <= 1
             ? 1.0
             : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(original_context)));
}

double yarn_attention_factor(double factor, double log_multiplier) {
  return factor <= 1 ? 1.0 : 0.1 * log_multiplier * std::log(factor) + 1;
}

void stretch_max_context(ModelConfig& config) {
  if (config.rope.scaling != RopeScaling::yarn && config.rope.scaling != RopeScaling::dynamic) {
    return;
  }
  const double stretched = static_cast<double>(config.rope.original_context) * config.rope.factor;
  config.max_context =
      std::max(config.max_context,
               static_cast<std::size_t>(std::min(stretched, static_cast<double>(kMaxContext))));
}

void settle_architecture(ModelConfig& config) {
  if (config.architecture == Architecture::qwen3 ||
      config.architecture == Architecture::qwen3_moe) {
    config.query_key_norm = QueryKeyNorm::head;
  }
  if (config.architecture == Architecture::olmo2 || config.architecture == Architecture::olmo3) {
    config.query_key_norm = QueryKeyNorm::projection;
    config.norms_before = false;
    config.norms_behind = true;
  }
  if (config.architecture == Architecture::gemma3) config.query_key_norm = QueryKeyNorm::head;
  if (config.architecture == Architecture::gemma2 || config.architecture == Architecture::gemma3) {
    config.norms_behind = true;
    config.activation = Activation::gelu_tanh;
    config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  }
}

std::vector<bool> but_every(std::size_t interval, std::size_t n_layers) {
  std::vector<bool> layers(n_layers);
  for (std::size_t layer = 0; layer < n_layers; ++layer)
    layers[layer] = (layer + 1) % interval != 0;
  return layers;
}

}  // namespace longshadow
