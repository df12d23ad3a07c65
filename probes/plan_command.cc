#include <cstdio>
#include <filesystem>
#include <iostream>

#include "engine/core/error.h"
#include "engine/io/mapped_file.h"
#include "engine/model/checkpoint.h"
#include "probes/arithmetic.h"
#include "probes/commands.h"
#include "probes/document_run.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/probe.h"
#include "probes/probe_options.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

const CommandHelp kHelp{
    "plan [options]",
    "Says what a probe would take, before there is a machine to run it on: memory, how many\n"
    "counterfactuals share a batch, and the arithmetic of each. A model's config.json is enough.",
    "  longshadow plan\n"
    "  longshadow plan --device cuda --model config.json --context 16384 --future 512 --evict-at "
    "end --precision bf16 --memory 78G\n"};

po::options_description options() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("model,m", po::value<std::string>()->default_value("smollm2"),
      "a GGUF file, a Hugging Face folder or its config.json, or the name smollm2");
  add_method_options(options);
  add("context,T", po::value<std::size_t>()->default_value(1024),
      "tokens of each document that subjects are taken from");
  add("future,H", po::value<std::size_t>()->default_value(256),
      "positions measured from a subject's eviction on");
  add("evict-at", po::value<std::string>()->default_value("lag:16"), "end or lag:W, as in probe");
  add("device", po::value<std::string>()->default_value("cpu"),
      "cpu or cuda, what to plan for; this machine need not have it");
  add("memory", po::value<std::string>()->default_value("0", "none"),
      "most memory to use, as in 4G");
  return options;
}

/// Unlike parse_device(), whatever this machine has.
DeviceKind planned_device(const std::string& text) {
  if (text == "cpu") return DeviceKind::cpu;
  if (text == "cuda") return DeviceKind::cuda;
  throw UsageError("--device \"" + text + "\": expected cpu or cuda");
}

ModelConfig config_of(const std::filesystem::path& path) {
  if (path.extension() != ".json") return open_checkpoint(path)->config();
  const MappedFile file(path);
  return config_from_json(file.bytes(), path.string());
}

void print_bytes(const char* what, std::size_t bytes) {
  std::printf("%-20s %10s\n", what, in_gibibytes(bytes).c_str());
}

void print_flops(const char* what, double flops) {
  std::printf("%-20s %10.4g TFLOP\n", what, flops * 1e-12);
}

void print_memory(const ProbeRoom& room, std::size_t horizon) {
  const std::size_t batch = room.batch_rows * room.plan.bytes_per_batch_row;
  for (const MemoryPlan::Part& part : room.plan.parts) {
    if (part.bytes != 0) print_bytes(part.what, part.bytes);
  }
  print_bytes("batch", batch);
  print_bytes("in all", room.plan.fixed_bytes() + batch);
  std::printf("%-20s %10zu counterfactuals, %zu rows\n", "at once", room.batch_rows / horizon,
              room.batch_rows);
  std::printf("%-20s %10zu of each document%s\n\n", "full passes", room.n_readings,
              room.n_readings > 1 ? " at most, since the tape holds a stretch of it" : "");
}

void print_arithmetic(const ModelConfig& config, const ProbeOptions& probe) {
  const std::size_t n = tokens_needed(probe.evict_at, probe.context, probe.horizon);
  print_flops("full pass", prefill_flops(config, n) + output_flops(config, n));
  const double products = product_flops(config, probe.horizon);
  const double attention = attention_flops(config, probe.horizon, n - probe.horizon, probe.method);
  print_flops("a counterfactual", products + attention);
  print_flops("  its products", products);
  print_flops("  its attention", attention);
}

}  // namespace

int plan_command(std::span<const std::string> words) {
  const auto parsed = parse_options(kHelp, words, options());
  if (!parsed) return 0;
  const auto text = [&](const char* name) { return (*parsed)[name].as<std::string>(); };
  ProbeOptions probe;
  probe.context = (*parsed)["context"].as<std::size_t>();
  probe.horizon = (*parsed)["future"].as<std::size_t>();
  probe.evict_at = parse_evict_at(text("evict-at"));
  // Any precision may be planned: the run's machine need not be this one.
  probe.precision = parse_precision(text("precision"), DeviceKind::cuda, std::cerr);
  probe.method = parse_method(text("method"), probe.precision);
  probe.device = planned_device(text("device"));
  probe.memory_bytes = parse_bytes(text("memory"));
  const ModelConfig config = config_of(locate_model(text("model")));
  check_lengths(config, {probe.context, probe.horizon, probe.evict_at, probe.entropy_top_k});
  print_memory(divide_memory(config, probe), probe.horizon);
  print_arithmetic(config, probe);
  return 0;
}

}  // namespace longshadow
