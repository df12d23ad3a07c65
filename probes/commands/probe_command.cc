#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "probes/commands/commands.h"
#include "probes/compression/policy_choice.h"
#include "probes/experiments/document_run.h"
#include "probes/experiments/probe.h"
#include "probes/models/model_location.h"
#include "probes/options/measured_run.h"
#include "probes/options/method_options.h"
#include "probes/options/option_set.h"
#include "probes/options/sketch_options.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

const CommandHelp kHelp{
    "probe --document FILE... --output RUN.h5 [options]",
    "Removes tokens from a language model's KV cache, one subject at a time, and measures by how\n"
    "much every later predictive distribution moves: KL(full || evicted) in nats, per position.\n"
    "Signals of every token (entropy, surprisal, drift, attention) are stored beside it.\n\n"
    "Subjects, one or several of these joined with +:\n"
    "  all             every token, one at a time\n"
    "  sample:N        N tokens, one at a time\n"
    "  list:3,7-9      token 3; tokens 7, 8 and 9 together\n"
    "  set:3,7-9       tokens 3, 7, 8 and 9 together\n"
    "  word:N          N words, the tokens of each together\n"
    "  sentence:all    every sentence that lies whole in the context, one at a time: how much "
    "each\n"
    "                  moves the sentences after it. --evict-at lag:0 removes it right after its\n"
    "                  last token, so that the next one is measured whole, end at the context's\n"
    "                  end; --future says how far it is followed\n"
    "  sentence:N      N of these\n"
    "  top:SIGNAL:5%   5% of the context together: the highest by entropy-before, entropy-at,\n"
    "                  surprisal, drift, attention-window or attention-cumulative, or drawn\n"
    "                  (random). With --evict-at end.\n"
    "  each:SIGNAL:N   N tokens, one at a time: the highest by one of these, or drawn (random)\n"
    "  policy:P@B      what eviction policy P evicts where it keeps the share B, by layer and KV\n"
    "                  head, as in policy:snapkv@0.2. With --evict-at end.\n"
    "A minus before SIGNAL takes the lowest, as in each:-entropy-before:64.",
    "  longshadow probe --document data/documents/how_a_cache_forgets.txt -o run.h5\n"
    "  longshadow probe --document a.txt b.txt --context 1024 --future 256 --subjects sample:128 "
    "-o run.h5\n"
    "  longshadow probe --document a.txt --subjects list:3,7-9 --evict-at end -o run.h5\n"
    "  longshadow probe --document a.txt --subjects top:entropy-before:5%+top:random:5% "
    "--evict-at end -o run.h5\n"
    "  longshadow probe --document a.txt --subjects sentence:all --evict-at lag:0 -o run.h5\n"
    "  longshadow probe --document a.txt --layers 0-9 --heads 0 -o run.h5\n"
    "  longshadow probe --document a.txt --method screen --future 512 -o run.h5\n"};

/// The options of the command, as they are read.
struct ProbeCommand {
  RunOptions run;
  MethodOptions method;
  Selection subjects;
  std::size_t n_sinks = 4;
  std::size_t n_recent = 32;
  EvictAt evict_at;
  NumberList layers;
  NumberList heads;
  SketchingOptions sketching;

  bool screens() const { return method.method == MethodChoice::screen; }
  bool sketches() const { return method.method == MethodChoice::sketch || screens(); }

  void declare(OptionSet& options);
};

void ProbeCommand::declare(OptionSet& options) {
  run.declare_files(options);
  method.declare_with_sketches(options);
  run.declare_lengths(options, "tokens of each document that subjects are taken from",
                      "positions measured from a subject's eviction on");
  options
      .add("subjects,s", parsed(subjects, parse_selection, "sample:64"),
           "what is removed: one of the selections explained above, or several joined with +")
      .decides("subjects");
  options.add("sinks", value(n_sinks), "first tokens that top:, each: and policy: spare")
      .decides("sinks");
  options.add("recent", value(n_recent), "last tokens of the context that top: and each: spare")
      .decides("recent");
  options
      .add("evict-at,e", parsed(evict_at, parse_evict_at, "lag:16"),
           "end: all subjects go when the context ends; lag:W: each goes W tokens after it was "
           "written")
      .decides("evict_at");
  options
      .add("layers", parsed(layers, parse_number_list, "all"),
           "layers that subjects leave, as in 0-5,12; in the others they stay")
      .decides("layers");
  options
      .add("heads", parsed(heads, parse_number_list, "all"),
           "KV heads that subjects leave, in those layers")
      .decides("heads");
  run.declare_rest(options, "counterfactuals", "truncated entropy");
  sketching.declare(
      options, [this] { return sketches(); }, [this] { return screens(); });
}

/// Throws UsageError for options that a sketch does not have.
void check_sketch(const ProbeCommand& command, const OptionSet& options) {
  if (options.given("subjects") && command.subjects.text != "all") {
    throw UsageError("--method " + std::string(command.screens() ? "screen" : "sketch") +
                     " looks at every token: expected --subjects all, found \"" +
                     command.subjects.text + "\"");
  }
  if (options.given("layers") || options.given("heads")) {
    throw UsageError(
        "--layers and --heads belong to counterfactuals of chosen subjects; --detail "
        "layer and --detail head map tokens that leave one layer or KV head");
  }
  if (options.given("evict-at") && command.evict_at.kind != EvictAt::Kind::end) {
    throw UsageError(
        "--evict-at: a sketch estimates what tokens do that leave at the context's "
        "end, expected end");
  }
}

/// Throws UsageError for options that exclude each other.
ProbeOptions probe_options(const ProbeCommand& command, const OptionSet& options,
                           const CommandDevice& device) {
  ProbeOptions probe;
  probe.context = command.run.context;
  probe.horizon = command.run.horizon;
  probe.subjects = command.subjects;
  probe.n_sinks = command.n_sinks;
  probe.n_recent = command.n_recent;
  probe.evict_at = command.evict_at;
  probe.layers = command.layers;
  probe.heads = command.heads;
  probe.precision = command.method.precision;
  probe.method = command.method.settled_method();
  probe.device = device.kind();
  probe.memory_bytes = device.memory_bytes(command.run.memory);
  probe.entropy_top_k = command.run.entropy_top_k;
  probe.seed = command.run.seed;
  if (!command.sketches()) return probe;
  check_sketch(command, options);
  probe.subjects = parse_selection("all");
  probe.evict_at = {EvictAt::Kind::end, 0};
  probe.sketch = command.sketching.sketch(probe.horizon, probe.seed);
  if (command.screens()) probe.screen = command.sketching.screen();
  return probe;
}

/// Gathers what options lead to, for the run's configuration.
nlohmann::json found_of(const ProbeOptions& probe) {
  nlohmann::json found{{"command", "probe"}, {"precision", name_of(probe.precision)}};
  if (probe.sketch) found["sketch"]["bins"] = bins_configuration(*probe.sketch);
  if (const auto files = files_of(probe.subjects, *probe.policies); !files.empty()) {
    found["policy_files"] = files;
  }
  return found;
}

RunPlan plan_of(RunFile run, const RunTexts& texts, const ModelConfig& config,
                const ProbeOptions& probe, std::span<const std::vector<Subject>> subjects) {
  RunPlan plan{std::move(run),
               kSubjectUnits,
               values_of_counterfactual(config, probe),
               shard_units_for(probe.horizon),
               {}};
  for (std::size_t d = 0; d < subjects.size(); ++d) {
    const Document& document = texts.documents[d];
    // A screen chooses when its sketch is there.
    plan.documents.push_back({document.name, document.source_sha256,
                              probe.screen ? std::nullopt : std::optional(subjects[d].size())});
  }
  return plan;
}

int run(ProbeCommand& command, const OptionSet& options) {
  CommandDevice device(command.run.model, command.run.output.is_dry_run);
  command.method.settle_precision(device.kind(), std::cerr);
  ProbeOptions probe = probe_options(command, options, device);
  const RunOutput output(command.run.output);

  const auto checkpoint = open_model(command.run.model.model, std::cerr);
  probe.policies = std::make_shared<SelectedPolicies>(make_selected_policies(
      probe.subjects, probe.context, probe.n_sinks, policy_model(*checkpoint)));
  const RunTexts texts = read_texts(command.run, *checkpoint, probe.evict_at);
  std::vector<std::vector<Subject>> subjects;
  for (const Document& document : texts.documents) {
    subjects.push_back(choose_subjects(document, checkpoint->config(), probe));
  }

  note_interrupts(command.run.documents.has_pipes() ? kGoOnWithText : kGoOn);
  const RunModel model = describe(*checkpoint);
  const RunPlan plan =
      plan_of(begin_run(model, run_configuration(options, model, texts, device, found_of(probe))),
              texts, checkpoint->config(), probe, subjects);
  const MeasuredRun measured{device,
                             *checkpoint,
                             texts,
                             plan,
                             probe.precision,
                             probe.sketch.has_value(),
                             command.run.progress};
  measure(measured, output, std::cout, std::cerr,
          [&](Device& on, const ProbeModel& loaded, std::size_t d, const RunStore& store) {
            const std::optional<RunSketch> sketch = store.sketch(d);
            return begin_probe(on, loaded, checkpoint->tokenizer(), texts.documents[d],
                               std::move(subjects[d]), probe, sketch ? &*sketch : nullptr,
                               command.run.progress, std::cerr);
          });
  return 0;
}

}  // namespace

int probe_command(std::span<const std::string> words) {
  ProbeCommand command;
  OptionSet options(kHelp);
  command.declare(options);
  return options.run(words, std::cout, [&] { return run(command, options); });
}

}  // namespace longshadow
