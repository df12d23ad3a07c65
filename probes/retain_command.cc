#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "analysis/runs/run_reader.h"
#include "engine/core/error.h"
#include "engine/core/nearest_name.h"
#include "engine/policy/registry.h"
#include "probes/commands.h"
#include "probes/device_option.h"
#include "probes/document_options.h"
#include "probes/document_run.h"
#include "probes/interrupt.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/policy_choice.h"
#include "probes/probe_options.h"
#include "probes/quantization_options.h"
#include "probes/retain.h"
#include "probes/run_output.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

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

po::options_description options() {
  po::options_description options("Options");
  add_document_options(options);
  add_output_options(options);
  add_model_options(options);
  add_device_option(options);
  add_quantization_options(options);
  auto add = options.add_options();
  add("policies,p", po::value<std::string>()->default_value("infokv,snapkv,h2o,random"),
      "what compresses the cache (explained above)");
  add("budgets,b", po::value<std::string>()->default_value("0.4,0.2"),
      "shares of the cache's slots to keep, joined with commas");
  add("sinks", po::value<std::size_t>()->default_value(0),
      "first tokens that every policy keeps, besides those it keeps by itself");
  add("influence", po::value<std::string>()->default_value("", "none"),
      "a run file with every token's influence, for oracle");
  add("context,T", po::value<std::size_t>()->default_value(1024),
      "tokens of each document whose cache is compressed");
  add("future,H", po::value<std::size_t>()->default_value(256), "positions that run on it");
  add("precision", po::value<std::string>()->default_value("f32"), "f32, or f64 as the truth");
  add("memory", po::value<std::string>()->default_value("0"),
      "bound on memory that sets how many caches run at once, as in 800M or 4G; 0: none");
  add("entropy-top-k", po::value<std::size_t>()->default_value(kEntropyTopK),
      "tokens that the entropy looks at");
  add("seed", po::value<std::uint64_t>()->default_value(0), "of every random choice");
  add("progress", po::value<std::string>()->default_value("auto"), "auto, plain or none");
  return options;
}

std::vector<std::string> split_budgets(const std::string& list) {
  std::vector<std::string> budgets;
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    budgets.push_back(list.substr(begin, end - begin));
    parse_budget(budgets.back(), "--budgets");
    begin = end + 1;
  }
  return budgets;
}

/// The run that --influence names, of the model given.
std::optional<RunFile> read_influence(const std::string& path, const RunModel& model) {
  if (path.empty()) return {};
  if (std::filesystem::is_directory(path)) {
    throw UsageError("--influence " + path +
                     ": expected a run file, found a directory; `longshadow merge` makes a file of "
                     "a run directory");
  }
  RunFile run = read_run(path);
  if (run.model.weights_sha256 != model.weights_sha256) {
    throw UsageError("--influence " + path + ": expected a run of the same model, found " +
                     run.model.name + " with other weights");
  }
  return run;
}

/// Everything that the measured values depend on, and nothing else.
nlohmann::json configuration_of(const po::variables_map& values, const RunModel& model,
                                const std::vector<std::string>& policy_files,
                                const std::optional<RunFile>& influence) {
  nlohmann::json configuration{{"command", "retain"},
                               {"weights_sha256", model.weights_sha256},
                               {"context", values["context"].as<std::size_t>()},
                               {"future", values["future"].as<std::size_t>()},
                               {"policies", values["policies"].as<std::string>()},
                               {"budgets", values["budgets"].as<std::string>()},
                               {"sinks", values["sinks"].as<std::size_t>()},
                               {"influence", influence ? influence->configuration_hash : ""},
                               {"precision", values["precision"].as<std::string>()},
                               {"entropy_top_k", values["entropy-top-k"].as<std::size_t>()},
                               {"kv_bits", values["kv-bits"].as<std::size_t>()},
                               {"kv_group", values["kv-group"].as<std::size_t>()},
                               {"seed", values["seed"].as<std::uint64_t>()}};
  if (!policy_files.empty()) configuration["policy_files"] = policy_files;
  return configuration;
}

template <class T, class Device>
void retain_all(Device& device, const Checkpoint& checkpoint,
                const std::vector<Document>& documents, const std::vector<DocumentTags>& tags,
                const RetainOptions& retain, const RunFile* influence, ProgressStyle progress,
                const RunStore& store) {
  const ProbeModel<T> model = load_probe_model<T>(device, checkpoint, retain.precision);
  for (std::size_t d = 0; d < documents.size(); ++d) {
    if (!store.has_work(d)) continue;
    if (documents.size() > 1 && progress != ProgressStyle::none) {
      std::cerr << documents[d].name << '\n';
    }
    const auto measurement = begin_retention(device, model, checkpoint.tokenizer(), documents[d],
                                             retain, influence, progress, std::cerr);
    store.measure(d, *measurement, tags[d], progress, std::cerr);
  }
}

RunPlan plan_of(RunFile run, const std::vector<Document>& documents, const RetainOptions& retain) {
  RunPlan plan{
      std::move(run), kCacheUnits, values_of_cache(retain), shard_units_for(retain.horizon), {}};
  for (const Document& document : documents) {
    plan.documents.push_back({document.name, document.source_sha256, count_caches(retain)});
  }
  return plan;
}

}  // namespace

int retain_command(std::span<const std::string> words) {
  const auto parsed = parse_options(help(), words, options());
  if (!parsed) return 0;
  const po::variables_map& values = *parsed;
  const auto text = [&](const char* name) { return values[name].as<std::string>(); };

  CommandDevice device(values);
  RetainOptions retain;
  retain.context = values["context"].as<std::size_t>();
  retain.horizon = values["future"].as<std::size_t>();
  retain.policies = split_policies(text("policies"));
  retain.budgets = split_budgets(text("budgets"));
  retain.n_sinks = values["sinks"].as<std::size_t>();
  retain.precision = parse_plain_precision(text("precision"));
  retain.device = device.kind();
  retain.memory_bytes = device.memory_bytes(parse_bytes(text("memory")));
  retain.entropy_top_k = values["entropy-top-k"].as<std::size_t>();
  retain.quantization = read_quantization(values);
  retain.seed = values["seed"].as<std::uint64_t>();
  const ProgressStyle progress = parse_progress_style(text("progress"));
  const RunOutput output(values);
  const auto checkpoint = open_model(text("model"), std::cerr);
  retain.policy_model = policy_model(*checkpoint);
  const Policies policies = make_policies(retain.policies, retain.n_sinks, retain.policy_model);
  const RunModel model = describe(*checkpoint);
  const std::optional<RunFile> influence = read_influence(text("influence"), model);
  const RunFile* const measured = influence ? &*influence : nullptr;
  const Reading reading{
      retain.context, retain.horizon, {EvictAt::Kind::end, 0}, retain.entropy_top_k};
  const std::vector<Document> documents = read_documents(
      values, checkpoint->tokenizer(), tokens_of_reading(checkpoint->config(), reading));
  for (const Document& document : documents) {
    check_retention(document, checkpoint->config(), retain, measured);
  }
  const std::vector<DocumentTags> tags = read_tags(values, documents);

  note_interrupts(reads_pipes(values) ? kGoOnWithText : kGoOn);
  nlohmann::json configuration = configuration_of(values, model, files_of(policies), influence);
  device.add_to(configuration);
  configure_documents(values, documents, tags, configuration);
  const RunPlan plan = plan_of(begin_run(model, configuration), documents, retain);
  if (output.ends_with_plan(plan, std::cout)) return 0;
  if (output.is_whole(plan.run.configuration_hash, progress, std::cerr)) return 0;
  const RunStore store = output.open(plan, progress, std::cerr);
  if (store.has_work()) {
    device.run([&](auto& on) {
      if (retain.precision == Precision::f64) {
        retain_all<double>(on, *checkpoint, documents, tags, retain, measured, progress, store);
      } else {
        retain_all<float>(on, *checkpoint, documents, tags, retain, measured, progress, store);
      }
    });
  }
  output.finish(store, progress, std::cerr);
  return 0;
}

}  // namespace longshadow
