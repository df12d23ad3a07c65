#include <algorithm>
#include <cstdio>
#include <iostream>

#include "engine/checkpoint/checkpoint.h"
#include "engine/model/weights.h"
#include "engine/text/utf8.h"
#include "probes/commands/commands.h"
#include "probes/models/model_location.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

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

/// The number of layers that have experts.
std::size_t expert_layers(const ModelConfig& config) {
  return static_cast<std::size_t>(std::ranges::count(config.expert_layers, true));
}

struct Parameters {
  std::size_t all;
  std::size_t active;  ///< a token uses them: all but the experts that it does not go through
};

Parameters count_parameters(const ModelConfig& config) {
  Parameters count{0, 0};
  for (const WeightName& weight : weight_table(config)) {
    const std::size_t size = weight.rows * weight.cols;
    count.all += size;
    // All experts of a layer have one size.
    if (weight.expert < config.experts.chosen || weight.expert == 0) count.active += size;
  }
  return count;
}

int run(const std::string& model) {
  const auto checkpoint = open_model(model, std::cerr);
  const ModelConfig& config = checkpoint->config();
  const auto [parameters, active] = count_parameters(config);
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
  if (config.attention_window != 0) print("attention window", config.attention_window);
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
