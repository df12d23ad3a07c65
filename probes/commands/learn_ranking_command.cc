#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/format/publish.h"
#include "probes/commands/commands.h"
#include "probes/learning/learn_ranking.h"
#include "probes/learning/learning_documents.h"
#include "probes/options/learn_options.h"
#include "probes/options/option_set.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

const CommandHelp kHelp{
    "learn ranking RUN.h5... [options]",
    "Learns to rank a KV head's tokens from the influence by layer and KV head that `longshadow\n"
    "probe --method sketch --detail head` measured on one document or more: for every head a "
    "linear\n"
    "function of attention, norms and distance that is nearest to the log of the influence (ridge\n"
    "regression). `--policies learned` of retain, and --policy of generate, then rank by it.",
    "  longshadow probe --document a.txt b.txt --method sketch --detail head -o by_head.h5\n"
    "  longshadow learn ranking by_head.h5\n"
    "  longshadow retain --document c.txt --policies h2o,learned --sinks 4 -o kept.h5\n"};

/// The weights [K][F + 1] of each layer.
std::vector<std::string> rows_of(const Ranking& ranking) {
  std::vector<std::string> rows;
  for (std::size_t layer = 0; layer < ranking.n_layers; ++layer) {
    nlohmann::ordered_json heads = nlohmann::ordered_json::array();
    for (std::size_t head = 0; head < ranking.n_kv_heads; ++head) {
      const auto weights = ranking.of_head(layer, head);
      heads.push_back(std::vector<double>(weights.begin(), weights.end()));
    }
    rows.push_back(heads.dump());
  }
  return rows;
}

std::string to_text(const LearnedRanking& learned, const LearnInputs& inputs, std::size_t n_sinks) {
  nlohmann::ordered_json features = nlohmann::ordered_json::array();
  for (const HeadFeature feature : learned.ranking.features) features.push_back(name_of(feature));
  nlohmann::ordered_json header = learned_header("longshadow ranking", inputs.model);
  header["features"] = features;
  header["learned"] = {{"tool_version", LONGSHADOW_VERSION},
                       {"rule", "ridge regression of log influence"},
                       {"penalty", learned.penalty},
                       {"unexplained", learned.unexplained},
                       {"sinks", n_sinks},
                       {"documents", described(inputs.documents)}};
  return learned_text(header, "weights", rows_of(learned.ranking));
}

/// A file of NumPy's: its header, padded to 64 bytes, and float64 values.
std::string to_npy(const std::vector<std::size_t>& shape, std::span<const double> values) {
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (";
  for (const std::size_t size : shape) header += std::to_string(size) + ", ";
  header += "), }";
  constexpr std::size_t kPrefix = 10, kMultiple = 64;
  header.append(kMultiple - (kPrefix + header.size() + 1) % kMultiple, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() % 256);
  file += static_cast<char>(header.size() / 256);
  file += header;
  return file.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

void write_features(Device& device, const Weights& weights,
                    std::span<const LearningDocument> documents,
                    const std::filesystem::path& folder) {
  std::vector<HeadFeature> features = ranking_features();
  features.push_back(HeadFeature::cumulative);
  std::filesystem::create_directories(folder);
  const ModelConfig& config = weights.config;
  for (const LearningDocument& document : documents) {
    const std::vector<double> values = document_features(device, weights, document, features);
    const auto context = static_cast<std::size_t>(document.run.context_tokens);
    const std::string file =
        to_npy({config.n_layers, config.n_kv_heads, features.size(), context}, values);
    publish(folder / (document.run.name + ".npy"), std::as_bytes(std::span(file)));
  }
}

int run(const LearnOptions& learning, const std::optional<std::string>& features) {
  LearnInputs inputs(learning, std::cerr);
  check_protected({.n_sink = learning.n_sinks}, inputs.context);
  const std::filesystem::path output = inputs.output(learning, "ranking.json");
  note_interrupts();
  Device& device = inputs.device.get();
  const Weights weights = load_weights(device, *inputs.checkpoint, Element::f32);
  const LearnedRanking learned =
      learn_ranking(device, weights, inputs.documents, ranking_features(), learning.n_sinks);
  if (features) write_features(device, weights, inputs.documents, *features);
  const std::string text = to_text(learned, inputs, learning.n_sinks);
  publish(output, std::as_bytes(std::span(text)));
  std::printf("%s\n", output.c_str());
  return 0;
}

}  // namespace

int learn_ranking_command(std::span<const std::string> words) {
  LearnOptions learning;
  std::optional<std::string> features;
  OptionSet options(kHelp);
  learning.declare(
      options, "first tokens that are not learnt from, as policies keep them",
      "the file to write, a new one (default: where the policy `learned` looks for it)");
  options.add("features", value(features),
              "also write what was looked at into this folder: DOCUMENT.npy, float64 [L, K, F, T], "
              "the file's features and behind them the log attention of all queries");
  learning.model.declare(options);
  return options.run(words, std::cout, [&] { return run(learning, features); });
}

}  // namespace longshadow
