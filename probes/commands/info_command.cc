#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "engine/checkpoint/checkpoint.h"
#include "engine/model/weights.h"
#include "engine/text/utf8.h"
#include "probes/commands/commands.h"
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

/// "dynamic, by the length of each text": T + H of a run that evicts at the context's end.
std::string describe(const RopeConfig& rope) {
  std::string text = name_of(rope.scaling);
  if (rope.scaling == RopeScaling::dynamic) text += ", by the length of each text";
  return text;
}

/// "50": to eight digits.
std::string to_text(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.8g", number);
  return text;
}

/// Prints a model's windows and caps, and the rotary base of layers with a window.
void print_windows_and_caps(const ModelConfig& config) {
  if (!config.windows.empty()) print("attention windows", describe_windows(config));
  if (config.attention_score_cap != 0) print("score cap", to_text(config.attention_score_cap));
  if (config.logit_cap != 0) print("logit cap", to_text(config.logit_cap));
  if (config.window_rope) print("window rotary base", to_text(config.window_rope->theta));
}

int run(const std::string& model) {
  const auto checkpoint = open_model(model, std::cerr);
  const ModelConfig& config = checkpoint->config();
  std::size_t parameters = 0;
  for (const WeightName& weight : weight_table(config)) parameters += weight.rows * weight.cols;
  print("name", printable(config.name, kLongestName));
  print("architecture", name_of(config.architecture));
  print("parameters", parameters);
  print("layers", config.n_layers);
  print("hidden size", config.hidden_size);
  print("query heads", config.n_heads);
  print("key-value heads", config.n_kv_heads);
  print("head size", config.head_dim);
  print("feed-forward size", config.feed_forward_size);
  print("vocabulary", config.vocab_size);
  print("trained context", config.max_context);
  print_windows_and_caps(config);
  print("rotary base", to_text(config.rope.theta));
  print("rotary scaling", describe(config.rope));
  print("embeddings", config.tied_embeddings ? "tied" : "untied");
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
