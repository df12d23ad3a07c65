#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "engine/checkpoint/checkpoint.h"
#include "engine/text/utf8.h"
#include "probes/commands/commands.h"
#include "probes/cost/model_size.h"
#include "probes/models/model_location.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

/// "4096 tokens in 14 of 28 layers"; windows of different lengths after each other.
std::string describe_windows(const ModelConfig& config) {
  std::map<std::size_t, std::size_t> layers;  // by length
  for (const std::size_t window : config.windows) ++layers[window];
  std::string text;
  for (const auto& [window, count] : layers) {
    if (window == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(window) + " tokens in " +
            std::to_string(count) + " of " + std::to_string(config.n_layers) + " layers";
  }
  return text;
}

const CommandHelp kHelp{"info [MODEL]", "Says what a model file or folder holds.",
                        "  longshadow info\n  longshadow info path/to/model.gguf\n"
                        "  longshadow info hub:HuggingFaceTB/SmolLM2-135M\n"};

constexpr std::size_t kLongestName = 200;

void print(const char* what, const std::string& value) {
  std::printf("%-18s %s\n", what, value.c_str());
}

void print(const char* what, std::size_t value) { print(what, std::to_string(value)); }

/// "1.1386294", "1000000": to eight digits.
std::string to_text(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.8g", number);
  return text;
}

/// The number of layers that have experts.
std::size_t expert_layers(const ModelConfig& config) {
  return static_cast<std::size_t>(std::ranges::count(config.expert_layers, true));
}

/// Prints a model's windows and caps, and the rotary base of layers with a window.
void print_windows_and_caps(const ModelConfig& config) {
  if (!config.windows.empty()) print("attention windows", describe_windows(config));
  if (config.attention_score_cap != 0) print("score cap", to_text(config.attention_score_cap));
  if (config.logit_cap != 0) print("logit cap", to_text(config.logit_cap));
  if (config.window_rope) print("window rotary base", to_text(config.window_rope->theta));
}

/// "before attention and feed-forward; of each head's queries and keys".
std::string describe_norms(const ModelConfig& config) {
  std::string text = config.norms_before ? "before" : "behind";
  if (config.norms_before && config.norms_behind) text += " and behind";
  text += " attention and feed-forward";
  switch (config.query_key_norm) {
    case QueryKeyNorm::none:
      return text;
    case QueryKeyNorm::head:
      return text + "; of each head's queries and keys";
    case QueryKeyNorm::projection:
      return text + "; of all heads' queries and keys together";
  }
  return text;
}

/// "query, key, value"; empty where the model has none.
std::string describe_biases(const ModelConfig& config) {
  std::string text;
  const auto add = [&](bool there, const char* names) {
    if (there) text += (text.empty() ? "" : ", ") + std::string(names);
  };
  add(config.attention_bias, "query, key, value");
  add(config.output_bias, "attention's output");
  add(config.feed_forward_bias, "gate, up, down");
  return text;
}

/// "yarn, 4 times 32768 tokens; queries and keys times 1.1386294".
std::string describe_scaling(const RopeConfig& rope) {
  std::string text = name_of(rope.scaling);
  const std::string original = std::to_string(rope.original_context) + " tokens";
  switch (rope.scaling) {
    case RopeScaling::none:
      break;
    case RopeScaling::linear:
      text += ", " + to_text(rope.factor) + " times";
      break;
    case RopeScaling::yarn:
      text += ", " + to_text(rope.factor) + " times " + original;
      break;
    case RopeScaling::llama3:
      text += rope.frequency_divisors.empty() ? ", " + to_text(rope.factor) + " times " + original
                                              : ", by the file's divisors";
      break;
    case RopeScaling::dynamic:
      text +=
          ", " + to_text(rope.factor) + " times, by the length of a text of more than " + original;
      break;
    case RopeScaling::longrope:
      text += ", other divisors in a text of more than " + original;
      break;
  }
  if (rope.attention_factor != 1) {
    text += "; queries and keys times " + to_text(rope.attention_factor);
  }
  return text;
}

/// "3, 7": layers, from 0, that have no rotary positions; empty where all have.
std::string describe_unrotated(const ModelConfig& config) {
  std::string text;
  for (std::size_t layer = 0; layer < config.rotary_layers.size(); ++layer) {
    if (config.rotary_layers[layer]) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(layer);
  }
  return text;
}

/// "128 numbers, 512 bytes in f32".
std::string describe_cache(std::size_t elements) {
  return std::to_string(elements) + " numbers, " + std::to_string(elements * sizeof(float)) +
         " bytes in f32";
}

void print_rope(const ModelConfig& config) {
  print("rotary base", to_text(config.rope.theta));
  print("rotary scaling", describe_scaling(config.rope));
  if (config.rope.rotated_elements != 0) {
    print("rotated elements", std::to_string(config.rope.rotated_elements) + " of a head's " +
                                  std::to_string(config.head_dim));
  }
  const std::string unrotated = describe_unrotated(config);
  if (!unrotated.empty()) print("unrotated layers", unrotated);
}

int run(const std::string& model) {
  const auto checkpoint = open_model(model, std::cerr);
  const ModelConfig& config = checkpoint->config();
  const std::size_t parameters = parameter_count(config);
  const std::size_t active = active_parameter_count(config);
  print("name", printable(config.name, kLongestName));
  print("architecture", name_of(config.architecture));
  print("parameters", parameters);
  if (active != parameters) print("active parameters", active);
  print("layers", config.n_layers);
  print("hidden size", config.hidden_size);
  print("query heads", config.n_heads);
  print("key-value heads", config.n_kv_heads);
  print("head size", config.head_dim);
  const std::size_t n_sparse = expert_layers(config);
  if (n_sparse < config.n_layers) print("feed-forward size", config.feed_forward_size);
  if (n_sparse > 0) {
    print("experts", std::to_string(config.experts.chosen) + " of " +
                         std::to_string(config.experts.count) + " for each token, in " +
                         std::to_string(n_sparse) + " of " + std::to_string(config.n_layers) +
                         " layers");
    print("expert size", config.experts.feed_forward_size);
  }
  print("vocabulary", config.vocab_size);
  print("trained context", config.max_context);
  print_windows_and_caps(config);
  print_rope(config);
  print("norms", describe_norms(config));
  if (const std::string biases = describe_biases(config); !biases.empty()) print("biases", biases);
  print("embeddings", config.tied_embeddings ? "tied" : "untied");
  print("cache per token", describe_cache(cache_elements(config)));
  if (!config.windows.empty()) {
    print("beyond windows", describe_cache(cache_elements_beyond_windows(config)));
  }
  print("weights sha256", checkpoint->weights_sha256());
  return 0;
}

}  // namespace

int info_command(std::span<const std::string> words) {
  std::string model = "smollm2";
  OptionSet options(kHelp);
  options.add("model,m", value(model), kModelHelp);
  options.take_words("model", 1);
  return options.run(words, std::cout, [&] { return run(model); });
}

}  // namespace longshadow
