#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/format/publish.h"
#include "engine/core/error.h"
#include "engine/policies/registry.h"
#include "probes/commands/commands.h"
#include "probes/compression/compressor.h"
#include "probes/learning/learning_documents.h"
#include "probes/learning/rank_influence.h"
#include "probes/options/learn_options.h"
#include "probes/options/option_set.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

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

std::string to_text(nlohmann::ordered_json header, const HeadBudgets& table) {
  const std::size_t n_heads = table.shape.n_layers * table.shape.n_kv_heads;
  std::vector<std::string> rows;
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
    rows.push_back(layers.dump());
  }
  header["budgets"] = budgets;
  return learned_text(header, "shares", rows);
}

nlohmann::ordered_json header_of(const LearnInputs& inputs, const std::string& ranking,
                                 std::size_t n_sinks) {
  nlohmann::ordered_json header = learned_header("longshadow head budgets", inputs.model);
  header["ranking"] = ranking;
  header["learned"] = {{"tool_version", LONGSHADOW_VERSION},
                       {"rule", "mean square root of influence at each rank"},
                       {"least", kLeastSlots},
                       {"sinks", n_sinks},
                       {"documents", described(inputs.documents)}};
  return header;
}

RankInfluence learn(Device& device, const Checkpoint& checkpoint, const Policy& policy,
                    std::size_t n_sinks, std::span<const LearningDocument> documents) {
  const Weights weights = load_weights(device, checkpoint, Element::f32);
  const ModelConfig& config = weights.config;
  const auto context = static_cast<std::size_t>(documents.front().run.context_tokens);
  constexpr std::array<std::size_t, 1> kOnly{0};
  RankInfluence influence({config.n_layers, config.n_kv_heads}, context, n_sinks);
  for (const LearningDocument& document : documents) {
    const std::span<const TokenId> tokens(document.run.tokens.id);
    Compressor compressor(device, weights, {&policy}, {context, tokens.size()});
    const FullPass full = compressor.prefill(tokens.first(context), context);
    compressor.set_entropy(document.run.signals.entropy_topk);
    influence.add(compressor.scores(full, kOnly, {}).front(), document.influence.total);
  }
  return influence;
}

int run(const LearnOptions& learning, const std::string& ranking) {
  LearnInputs inputs(learning, std::cerr);
  const auto policy = make_policy(ranking, inputs.policy_model);
  policy->protect_sinks(learning.n_sinks);
  if (policy->traits().influence != Influence::none) {
    throw UsageError(
        "--ranking " + ranking +
        ": it knows what a document's future asks for; expected a policy that does not");
  }
  check_prompt(policy->traits(), inputs.context);
  const std::filesystem::path output = inputs.output(learning, budgets_file(ranking));
  note_interrupts();
  const RankInfluence influence =
      learn(inputs.device.get(), *inputs.checkpoint, *policy, learning.n_sinks, inputs.documents);
  const CacheShape shape{inputs.policy_model.n_layers, inputs.policy_model.n_kv_heads};
  const HeadBudgets table =
      head_budgets(influence, shape, inputs.context, learning.n_sinks, kBudgets);
  const std::string text = to_text(header_of(inputs, ranking, learning.n_sinks), table);
  publish(output, std::as_bytes(std::span(text)));
  std::printf("%s\n", output.c_str());
  return 0;
}

}  // namespace

int learn_budgets_command(std::span<const std::string> words) {
  LearnOptions learning;
  std::string ranking = "h2o";
  OptionSet options(kBudgetsHelp);
  learning.declare(options, "first tokens that every head keeps, as --sinks of retain",
                   "the file to write, a new one (default: where budgets/RANKING looks for it)");
  options.add("ranking,r", value(ranking), "the policy whose ranking the budgets are to suit");
  learning.model.declare(options);
  return options.run(words, std::cout, [&] { return run(learning, ranking); });
}

}  // namespace longshadow
