#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "analysis/runs/run_reader.h"
#include "engine/core/error.h"
#include "engine/policies/registry.h"
#include "engine/text/nearest_name.h"
#include "probes/commands/commands.h"
#include "probes/compression/policy_choice.h"
#include "probes/experiments/document_run.h"
#include "probes/experiments/retain.h"
#include "probes/models/model_location.h"
#include "probes/options/measured_run.h"
#include "probes/options/method_options.h"
#include "probes/options/option_set.h"
#include "probes/options/quantization_options.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

CommandHelp help() {
  return {
      "retain --document FILE... --output RUN.h5 [options]",
      "Lets eviction policies compress the KV cache of a context, and measures what forgetting\n"
      "costs: the tokens that follow run on what each policy kept, and every position is held to\n"
      "the full cache by KL(full || compressed) in nats, likeliest token, and surprisal.\n\n"
      "Policies, several joined with commas: NAME, NAME:option=value,option=value or, for one "
      "that\n"
      "selects by another's scores, NAME/OTHER (adakv/infokv). There are\n"
      "  " +
          comma_list(policy_names()) +
          "\n"
          "full keeps everything: its KL is what rounding alone makes. random is what a policy "
          "has\n"
          "to beat, oracle (:over=total, near or far; :by=token, head or global) keeps by "
          "measured\n"
          "influence and needs --influence. budgets/OTHER gives each KV head the slots that\n"
          "`longshadow learn budgets` found it to deserve, budgets:FILE/OTHER those of a file.\n"
          "adakv:over=model/OTHER divides slots over all layers. rpc compresses nothing but what\n"
          "`longshadow generate` writes. A budget is the share of the slots to keep.",
      "  longshadow retain --document data/documents/how_a_cache_forgets.txt --context 1024 -o "
      "kept.h5\n"
      "  longshadow retain --document a.txt b.txt --policies infokv,snapkv,adakv/snapkv "
      "--budgets 0.4,0.2 --sinks 4 -o kept.h5\n"
      "  longshadow probe --document a.txt --method sketch -o influence.h5\n"
      "  longshadow retain --document a.txt --policies h2o,budgets/h2o --sinks 4 -o budgets.h5\n"
      "  longshadow retain --document a.txt --policies full,infokv,snapkv --kv-bits 4 -o in4.h5\n"
      "  longshadow retain --document a.txt --policies oracle,random --influence influence.h5 -o "
      "kept.h5\n"
      "  longshadow analyze kept.h5\n"};
}

/// The options of the command, as they are read.
struct RetainCommand {
  RunOptions run;
  QuantizationOptions quantization;
  std::vector<std::string> policies;
  std::vector<Budget> budgets;
  std::size_t n_sinks = 0;
  std::string influence;
  Precision precision = Precision::f32;

  void declare(OptionSet& options);
};

void RetainCommand::declare(OptionSet& options) {
  run.declare_files(options);
  quantization.declare(options);
  options
      .add("policies,p", parsed(policies, split_policies, "infokv,snapkv,h2o,random"),
           "what compresses the cache (explained above)")
      .decides("policies");
  options
      .add("budgets,b", parsed(budgets, parse_budgets, "0.4,0.2"),
           "shares of the cache's slots to keep, joined with commas")
      .decides("budgets");
  options
      .add("sinks", value(n_sinks),
           "first tokens that every policy keeps, besides those it keeps by itself")
      .decides("sinks");
  options
      .add("influence", value(influence, "none"),
           "a run file with every token's influence, for oracle")
      .leads_to("influence");
  run.declare_lengths(options, "tokens of each document whose cache is compressed",
                      "positions that run on it");
  declare_plain_precision(options, precision);
  run.declare_rest(options, "caches", "entropy");
}

/// Reads the run that --influence names, which must be of the model; nothing where it names none.
std::optional<RunFile> read_influence(const std::string& path, const Checkpoint& checkpoint) {
  if (path.empty()) return std::nullopt;
  if (std::filesystem::is_directory(path)) {
    throw UsageError("--influence " + path +
                     ": expected a run file, found a directory; `longshadow merge` makes a file of "
                     "a run directory");
  }
  RunFile run = read_run(path);
  if (run.model.weights_sha256 != checkpoint.weights_sha256()) {
    throw UsageError("--influence " + path + ": expected a run of the same model, found " +
                     run.model.name + " with other weights");
  }
  return run;
}

RetainOptions retain_options(const RetainCommand& command, const OptionSet& options,
                             const CommandDevice& device) {
  RetainOptions retain;
  retain.context = command.run.context;
  retain.horizon = command.run.horizon;
  retain.policies = command.policies;
  retain.budgets = command.budgets;
  retain.precision = command.precision;
  retain.device = device.kind();
  retain.memory_bytes = device.memory_bytes(command.run.memory);
  retain.entropy_top_k = command.run.entropy_top_k;
  retain.quantization = command.quantization.quantization(options);
  retain.seed = command.run.seed;
  return retain;
}

/// Gathers what options lead to, for the run's configuration.
nlohmann::json found_of(const RetainOptions& retain, const RunFile* influence) {
  nlohmann::json found{{"command", "retain"},
                       {"influence", influence ? influence->configuration_hash : ""}};
  if (const auto files = files_of(*retain.made); !files.empty()) found["policy_files"] = files;
  return found;
}

RunPlan plan_of(RunFile run, const RunTexts& texts, const RetainOptions& retain) {
  RunPlan plan{
      std::move(run), kCacheUnits, values_of_cache(retain), shard_units_for(retain.horizon), {}};
  for (const Document& document : texts.documents) {
    plan.documents.push_back({document.name, document.source_sha256, count_caches(retain)});
  }
  return plan;
}

int run(const RetainCommand& command, const OptionSet& options) {
  CommandDevice device(command.run.model, command.run.output.is_dry_run);
  RetainOptions retain = retain_options(command, options, device);
  const RunOutput output(command.run.output);

  const auto checkpoint = open_model(command.run.model.model, std::cerr);
  retain.made = std::make_shared<Policies>(
      make_policies(retain.policies, command.n_sinks, policy_model(*checkpoint)));
  const std::optional<RunFile> influence = read_influence(command.influence, *checkpoint);
  const RunFile* const measured = influence ? &*influence : nullptr;
  const RunTexts texts = read_texts(command.run, *checkpoint, {EvictAt::Kind::end, 0});
  for (const Document& document : texts.documents) {
    check_retention(document, checkpoint->config(), retain, measured);
  }

  note_interrupts(command.run.documents.has_pipes() ? kGoOnWithText : kGoOn);
  const RunModel model = describe(*checkpoint);
  const RunPlan plan = plan_of(begin_run(model, run_configuration(options, model, texts, device,
                                                                  found_of(retain, measured))),
                               texts, retain);
  measure({device, *checkpoint, texts, plan, retain.precision, false, command.run.progress}, output,
          std::cout, std::cerr,
          [&](Device& on, const ProbeModel& loaded, std::size_t d, const RunStore&) {
            return begin_retention(on, loaded, checkpoint->tokenizer(), texts.documents[d], retain,
                                   measured, command.run.progress, std::cerr);
          });
  return 0;
}

}  // namespace

int retain_command(std::span<const std::string> words) {
  RetainCommand command;
  OptionSet options(help());
  command.declare(options);
  return options.run(words, std::cout, [&] { return run(command, options); });
}

}  // namespace longshadow
