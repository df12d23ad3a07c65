#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "probes/commands.h"
#include "probes/device_option.h"
#include "probes/document_options.h"
#include "probes/document_run.h"
#include "probes/interrupt.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/policy_choice.h"
#include "probes/policy_subjects.h"
#include "probes/probe.h"
#include "probes/probe_options.h"
#include "probes/run_output.h"
#include "probes/sketch_options.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

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

po::options_description options() {
  po::options_description options("Options");
  add_document_options(options);
  add_output_options(options);
  add_model_options(options);
  add_device_option(options);
  add_method_options(options,
                     "; sketch: estimates every token's influence at once from gradients; screen: "
                     "a sketch, then the most influential tokens and a control sample one by one");
  auto add = options.add_options();
  add("context,T", po::value<std::size_t>()->default_value(1024),
      "tokens of each document that subjects are taken from");
  add("future,H", po::value<std::size_t>()->default_value(256),
      "positions measured from a subject's eviction on");
  add("subjects,s", po::value<std::string>()->default_value("sample:64"),
      "what is removed: one of the selections explained above, or several joined with +");
  add("sinks", po::value<std::size_t>()->default_value(4),
      "first tokens that top:, each: and policy: spare");
  add("recent", po::value<std::size_t>()->default_value(32),
      "last tokens of the context that top: and each: spare");
  add("evict-at,e", po::value<std::string>()->default_value("lag:16"),
      "end: all subjects go when the context ends; lag:W: each goes W tokens after it was written");
  add("layers", po::value<std::string>()->default_value("all"),
      "layers that subjects leave, as in 0-5,12; in the others they stay");
  add("heads", po::value<std::string>()->default_value("all"),
      "KV heads that subjects leave, in those layers");
  add("memory", po::value<std::string>()->default_value("0"),
      "bound on memory that sets how many counterfactuals run at once, as in 800M or 4G; 0: none");
  add("entropy-top-k", po::value<std::size_t>()->default_value(kEntropyTopK),
      "tokens that the truncated entropy looks at");
  add("seed", po::value<std::uint64_t>()->default_value(0), "of every random choice");
  add("progress", po::value<std::string>()->default_value("auto"), "auto, plain or none");
  add_sketch_options(options);
  return options;
}

/// Everything that the measured values depend on, and nothing else.
nlohmann::json configuration_of(const po::variables_map& values, const CommandDevice& device,
                                const RunModel& model, const ProbeOptions& probe,
                                const std::vector<Document>& documents,
                                const std::vector<DocumentTags>& tags) {
  nlohmann::json configuration{{"command", "probe"},
                               {"weights_sha256", model.weights_sha256},
                               {"context", values["context"].as<std::size_t>()},
                               {"future", values["future"].as<std::size_t>()},
                               {"subjects", values["subjects"].as<std::string>()},
                               {"sinks", values["sinks"].as<std::size_t>()},
                               {"recent", values["recent"].as<std::size_t>()},
                               {"evict_at", values["evict-at"].as<std::string>()},
                               {"layers", values["layers"].as<std::string>()},
                               {"heads", values["heads"].as<std::string>()},
                               {"precision", name_of(probe.precision)},
                               {"method", values["method"].as<std::string>()},
                               {"entropy_top_k", values["entropy-top-k"].as<std::size_t>()},
                               {"seed", values["seed"].as<std::uint64_t>()}};
  device.add_to(configuration);
  if (probe.sketch) configuration["sketch"] = sketch_configuration(probe);
  const Policies policies = subjects_policies(probe.subjects, probe.policy_model);
  if (const auto files = files_of(policies); !files.empty()) {
    configuration["policy_files"] = files;
  }
  configure_documents(values, documents, tags, configuration);
  return configuration;
}

template <class T, class Device>
void probe_all(Device& device, const Checkpoint& checkpoint, const std::vector<Document>& documents,
               const std::vector<DocumentTags>& tags, const ProbeOptions& probe,
               ProgressStyle progress, const RunStore& store) {
  const ProbeModel<T> model =
      load_probe_model<T>(device, checkpoint, probe.precision, probe.sketch.has_value());
  for (std::size_t d = 0; d < documents.size(); ++d) {
    if (!store.has_work(d)) continue;
    if (documents.size() > 1 && progress != ProgressStyle::none) {
      std::cerr << documents[d].name << '\n';
    }
    const std::optional<RunSketch> sketch = store.sketch(d);
    const auto measurement = begin_probe(device, model, checkpoint.tokenizer(), documents[d], probe,
                                         sketch ? &*sketch : nullptr, progress, std::cerr);
    store.measure(d, *measurement, tags[d], progress, std::cerr);
  }
}

RunPlan plan_of(RunFile run, const std::vector<Document>& documents, const ProbeOptions& probe) {
  RunPlan plan{std::move(run), kSubjectUnits, probe.horizon, shard_units_for(probe.horizon), {}};
  for (const Document& document : documents) {
    plan.documents.push_back(
        {document.name, document.source_sha256, count_subjects(document, probe)});
  }
  return plan;
}

}  // namespace

int probe_command(std::span<const std::string> words) {
  const auto parsed = parse_options(kHelp, words, options());
  if (!parsed) return 0;
  const po::variables_map& values = *parsed;
  const auto text = [&](const char* name) { return values[name].as<std::string>(); };

  CommandDevice device(values);
  ProbeOptions probe;
  probe.context = values["context"].as<std::size_t>();
  probe.horizon = values["future"].as<std::size_t>();
  probe.subjects = text("subjects");
  probe.n_sinks = values["sinks"].as<std::size_t>();
  probe.n_recent = values["recent"].as<std::size_t>();
  probe.evict_at = parse_evict_at(text("evict-at"));
  probe.layers = text("layers");
  probe.heads = text("heads");
  probe.entropy_top_k = values["entropy-top-k"].as<std::size_t>();
  probe.seed = values["seed"].as<std::uint64_t>();
  const ProgressStyle progress = parse_progress_style(text("progress"));
  probe.precision = parse_precision(text("precision"), device.kind(), std::cerr);
  if (!asks_for_sketch(values)) probe.method = parse_method(text("method"), probe.precision);
  read_sketch_options(values, probe);
  probe.device = device.kind();
  probe.memory_bytes = device.memory_bytes(parse_bytes(text("memory")));
  const RunOutput output(values);

  const auto checkpoint = open_model(text("model"), std::cerr);
  probe.policy_model = policy_model(*checkpoint);
  const Reading reading{probe.context, probe.horizon, probe.evict_at, probe.entropy_top_k};
  std::vector<Document> documents = read_documents(
      values, checkpoint->tokenizer(), tokens_of_reading(checkpoint->config(), reading));
  const std::vector<DocumentTags> tags = read_tags(values, documents);
  for (std::size_t d = 0; d < documents.size(); ++d) {
    documents[d].sentences = sentences_of(tags[d]);
    check_document(documents[d], checkpoint->config(), probe);
  }

  note_interrupts(reads_pipes(values) ? kGoOnWithText : kGoOn);
  const RunModel model = describe(*checkpoint);
  const RunPlan plan =
      plan_of(begin_run(model, configuration_of(values, device, model, probe, documents, tags)),
              documents, probe);
  if (output.ends_with_plan(plan, std::cout)) return 0;
  if (output.is_whole(plan.run.configuration_hash, progress, std::cerr)) return 0;
  const RunStore store = output.open(plan, progress, std::cerr);
  if (store.has_work()) {
    device.run([&](auto& on) {
      if (probe.precision == Precision::f64) {
        probe_all<double>(on, *checkpoint, documents, tags, probe, progress, store);
      } else {
        probe_all<float>(on, *checkpoint, documents, tags, probe, progress, store);
      }
    });
  }
  output.finish(store, progress, std::cerr);
  return 0;
}

}  // namespace longshadow
