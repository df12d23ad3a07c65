#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/format/publish.h"
#include "engine/core/error.h"
#include "engine/policy/registry.h"
#include "probes/commands.h"
#include "probes/device_option.h"
#include "probes/document_run.h"
#include "probes/interrupt.h"
#include "probes/learn_output.h"
#include "probes/learning/rank_influence.h"
#include "probes/learning_documents.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/policy_choice.h"
#include "probes/probe_options.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

const CommandHelp kBudgetsHelp{
    "learn budgets RUN.h5... [options]",
    "Learns how many slots each KV head deserves under a policy's ranking, from the influence by\n"
    "layer and KV head that `longshadow probe --method sketch --detail head` measured on one\n"
    "document or more: each head has a few for certain, and the others go to the (head, rank)\n"
    "pairs of the highest influence, by the mean of its square root. `--policies budgets/RANKING`\n"
    "of retain, and --policy of generate, then divide any budget so.",
    "  longshadow probe --document a.txt b.txt --method sketch --detail head -o by_head.h5\n"
    "  longshadow learn budgets by_head.h5 --ranking h2o\n"
    "  longshadow retain --document c.txt --policies h2o,budgets/h2o --sinks 4 -o kept.h5\n"};

/// Shares of the cache that a file of budgets tells; between them it is read on straight lines.
constexpr double kBudgets[] = {0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.55, 0.75, 1};

/// To the sixth digit, in which a slot of a million tokens still shows.
double rounded(double share) { return std::round(share * 1e6) / 1e6; }

/// The file's text, a line a budget.
std::string to_text(nlohmann::ordered_json header, const HeadBudgets& table) {
  const std::size_t n_heads = table.shape.n_layers * table.shape.n_kv_heads;
  std::ostringstream rows;
  nlohmann::ordered_json budgets = nlohmann::ordered_json::array();
  for (std::size_t b = 0; b < table.budgets.size(); ++b) {
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    double sum = 0;
    for (std::size_t head = 0; head < n_heads; ++head) {
      if (head % table.shape.n_kv_heads == 0) layers.push_back(nlohmann::ordered_json::array());
      const double share = rounded(table.shares[b * n_heads + head]);
      layers.back().push_back(share);
      sum += share;
    }
    budgets.push_back(sum / static_cast<double>(n_heads));
    rows << (b == 0 ? "\n  " : ",\n  ") << layers.dump();
  }
  header["budgets"] = budgets;
  std::string text = header.dump(1);
  text.resize(text.rfind('\n'));
  return text + ",\n \"shares\": [" + rows.str() + "\n ]\n}\n";
}

nlohmann::ordered_json header_of(const RunModel& model, const std::string& ranking,
                                 std::size_t n_sinks, std::span<const LearningDocument> documents) {
  return {{"format", "longshadow head budgets"},
          {"format_version", 1},
          {"model", {{"name", model.name}, {"weights_sha256", model.weights_sha256}}},
          {"layers", model.n_layers},
          {"kv_heads", model.n_kv_heads},
          {"ranking", ranking},
          {"learned",
           {{"tool_version", LONGSHADOW_VERSION},
            {"rule", "mean square root of influence at each rank"},
            {"least", kLeastSlots},
            {"sinks", n_sinks},
            {"documents", described(documents)}}}};
}

template <class Device>
RankInfluence learn(Device& device, const Checkpoint& checkpoint, const Policy& policy,
                    std::size_t n_sinks, std::span<const LearningDocument> documents) {
  const Weights<float> weights = load_weights<float>(device, checkpoint);
  const ModelConfig& config = weights.config;
  const auto context = static_cast<std::size_t>(documents.front().run.context_tokens);
  RankInfluence influence({config.n_layers, config.n_kv_heads}, context, n_sinks);
  for (const LearningDocument& document : documents) {
    std::vector<TokenScores> layers;
    show_layers(device, weights, document.run, policy.traits(),
                [&](const LayerView& view) { layers.push_back(protected_scores(policy, view)); });
    influence.add(layers, document.influence.total);
  }
  return influence;
}

}  // namespace

int learn_budgets_command(std::span<const std::string> words) {
  po::options_description options("Options");
  auto add = options.add_options();
  add("runs", po::value<std::vector<std::string>>()->required(), "run files with a sketch by head");
  add("ranking,r", po::value<std::string>()->default_value("h2o"),
      "the policy whose ranking the budgets are to suit");
  add("sinks", po::value<std::size_t>()->default_value(4),
      "first tokens that every head keeps, as --sinks of retain");
  add("output,o", po::value<std::string>(),
      "the file to write, a new one (default: where budgets/RANKING looks for it)");
  add_model_options(options);
  add_device_option(options);
  po::positional_options_description positional;
  positional.add("runs", -1);
  const auto parsed = parse_options(kBudgetsHelp, words, options, positional);
  if (!parsed) return 0;
  const po::variables_map& values = *parsed;
  const auto n_sinks = values["sinks"].as<std::size_t>();
  const std::string ranking = values["ranking"].as<std::string>();

  CommandDevice device(values);
  const auto checkpoint = open_model(values["model"].as<std::string>(), std::cerr);
  const PolicyModel model = policy_model(*checkpoint);
  const auto policy = make_policy(ranking, model);
  policy->protect_sinks(n_sinks);
  if (policy->traits().influence != Influence::none) {
    throw UsageError(
        "--ranking " + ranking +
        ": it knows what a document's future asks for; expected a policy that does not");
  }
  const RunModel run_model = describe(*checkpoint);
  const std::vector<LearningDocument> documents =
      read_learning_documents(values["runs"].as<std::vector<std::string>>(), run_model);
  const auto context = static_cast<std::size_t>(documents.front().run.context_tokens);
  check_prompt(policy->traits(), context);
  const std::filesystem::path output = learned_output(values, model, budgets_file(ranking));
  check_output(output);
  note_interrupts();
  device.run([&](auto& on) {
    const RankInfluence influence = learn(on, *checkpoint, *policy, n_sinks, documents);
    const HeadBudgets table =
        head_budgets(influence, {model.n_layers, model.n_kv_heads}, context, n_sinks, kBudgets);
    const std::string text = to_text(header_of(run_model, ranking, n_sinks, documents), table);
    publish(output, std::as_bytes(std::span(text)));
  });
  std::printf("%s\n", output.c_str());
  return 0;
}

}  // namespace longshadow
