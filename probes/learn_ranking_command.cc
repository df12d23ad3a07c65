#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/format/publish.h"
#include "engine/core/error.h"
#include "probes/commands.h"
#include "probes/device_option.h"
#include "probes/document_run.h"
#include "probes/interrupt.h"
#include "probes/learn_output.h"
#include "probes/learn_ranking.h"
#include "probes/learning_documents.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/policy_choice.h"
#include "probes/probe_options.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

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

/// [L][K][F + 1], a line a layer.
std::string weights_text(const Ranking& ranking) {
  std::string text;
  for (std::size_t layer = 0; layer < ranking.n_layers; ++layer) {
    nlohmann::ordered_json heads = nlohmann::ordered_json::array();
    for (std::size_t head = 0; head < ranking.n_kv_heads; ++head) {
      const auto weights = ranking.of_head(layer, head);
      heads.push_back(std::vector<double>(weights.begin(), weights.end()));
    }
    text += (layer == 0 ? "\n  " : ",\n  ") + heads.dump();
  }
  return text;
}

std::string to_text(const LearnedRanking& learned, const RunModel& model, std::size_t n_sinks,
                    std::span<const LearningDocument> documents) {
  nlohmann::ordered_json features = nlohmann::ordered_json::array();
  for (const HeadFeature feature : learned.ranking.features) features.push_back(name_of(feature));
  const nlohmann::ordered_json header{
      {"format", "longshadow ranking"},
      {"format_version", 1},
      {"model", {{"name", model.name}, {"weights_sha256", model.weights_sha256}}},
      {"layers", model.n_layers},
      {"kv_heads", model.n_kv_heads},
      {"features", features},
      {"learned",
       {{"tool_version", LONGSHADOW_VERSION},
        {"rule", "ridge regression of log influence"},
        {"penalty", learned.penalty},
        {"unexplained", learned.unexplained},
        {"sinks", n_sinks},
        {"documents", described(documents)}}}};
  std::string text = header.dump(1);
  text.resize(text.rfind('\n'));
  return text + ",\n \"weights\": [" + weights_text(learned.ranking) + "\n ]\n}\n";
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

template <class Device>
void write_features(Device& device, const Weights<float>& weights,
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

}  // namespace

int learn_ranking_command(std::span<const std::string> words) {
  po::options_description options("Options");
  auto add = options.add_options();
  add("runs", po::value<std::vector<std::string>>()->required(), "run files with a sketch by head");
  add("sinks", po::value<std::size_t>()->default_value(4),
      "first tokens that are not learnt from, as policies keep them");
  add("output,o", po::value<std::string>(),
      "the file to write, a new one (default: where the policy `learned` looks for it)");
  add("features", po::value<std::string>(),
      "also write what was looked at into this folder: DOCUMENT.npy, float64 [L, K, F, T], the "
      "file's features and behind them the log attention of all queries");
  add_model_options(options);
  add_device_option(options);
  po::positional_options_description positional;
  positional.add("runs", -1);
  const auto parsed = parse_options(kHelp, words, options, positional);
  if (!parsed) return 0;
  const po::variables_map& values = *parsed;
  const auto n_sinks = values["sinks"].as<std::size_t>();

  CommandDevice device(values);
  const auto checkpoint = open_model(values["model"].as<std::string>(), std::cerr);
  const RunModel model = describe(*checkpoint);
  const std::vector<LearningDocument> documents =
      read_learning_documents(values["runs"].as<std::vector<std::string>>(), model);
  const auto context = static_cast<std::size_t>(documents.front().run.context_tokens);
  check_protected({.n_sink = n_sinks}, context);
  const std::filesystem::path output =
      learned_output(values, policy_model(*checkpoint), "ranking.json");
  check_output(output);
  note_interrupts();
  device.run([&](auto& on) {
    const Weights<float> weights = load_weights<float>(on, *checkpoint);
    const LearnedRanking learned =
        learn_ranking(on, weights, documents, ranking_features(), n_sinks);
    if (values.count("features") != 0) {
      write_features(on, weights, documents, values["features"].as<std::string>());
    }
    const std::string text = to_text(learned, model, n_sinks, documents);
    publish(output, std::as_bytes(std::span(text)));
  });
  std::printf("%s\n", output.c_str());
  return 0;
}

}  // namespace longshadow
