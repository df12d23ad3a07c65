#include <cstdio>
#include <filesystem>
#include <iostream>

#include "engine/checkpoint/checkpoint.h"
#include "engine/core/error.h"
#include "engine/io/mapped_file.h"
#include "probes/commands/commands.h"
#include "probes/cost/arithmetic.h"
#include "probes/cost/model_size.h"
#include "probes/experiments/document_run.h"
#include "probes/experiments/probe.h"
#include "probes/models/model_location.h"
#include "probes/options/method_options.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

const CommandHelp kHelp{
    "plan [options]",
    "Says what a probe would take, before there is a machine to run it on: memory, how many\n"
    "counterfactuals share a batch, and the arithmetic of each. A model's config.json is enough.",
    "  longshadow plan\n"
    "  longshadow plan --device cuda --model config.json --context 16384 --future 512 --evict-at "
    "end --precision bf16 --memory 78G\n"};

/// The options of the command, as they are read.
struct PlanCommand {
  std::string model = "smollm2";
  MethodOptions method;
  ProbeOptions probe;

  void declare(OptionSet& options);
};

void PlanCommand::declare(OptionSet& options) {
  options.add("model,m", value(model), std::string(kModelHelp) + ", or a config.json alone");
  method.declare(options);
  options.add("context,T", value(probe.context),
              "tokens of each document that subjects are taken from");
  options.add("future,H", value(probe.horizon), "positions measured from a subject's eviction on");
  options.add("evict-at", parsed(probe.evict_at, parse_evict_at, "lag:16"),
              "end or lag:W, as in probe");
  // Unlike that of other commands, whatever this machine has.
  options.add("device",
              choice(probe.device, {{"cpu", DeviceKind::cpu}, {"cuda", DeviceKind::cuda}}),
              "cpu or cuda, what to plan for; this machine need not have it");
  options.add("memory", parsed(probe.memory_bytes, parse_bytes, "0", "none"),
              "most memory to use, as in 4G");
}

/// Reads a config.json alone, and the tokenizer beside it if there is one; else opens the model,
/// which must be one that a probe can load.
ModelConfig config_of(const std::string& model) {
  const std::filesystem::path path = locate_model(model);
  if (path.extension() != ".json") return open_model(model, std::cerr)->config();
  const MappedFile file(path);
  ModelConfig config = config_from_json(file.bytes(), path.string());
  const std::filesystem::path beside = path.parent_path() / "tokenizer.json";
  std::error_code ignored;  // what cannot be examined is not there
  if (std::filesystem::exists(beside, ignored)) {
    const MappedFile tokenizer(beside);
    Tokenizer::from_json(tokenizer.bytes(), beside.string());
  }
  return config;
}

void print_bytes(const char* what, std::size_t bytes) {
  std::printf("%-20s %10s\n", what, in_gibibytes(bytes).c_str());
}

void print_flops(const char* what, double flops) {
  std::printf("%-20s %10.4g TFLOP\n", what, flops * 1e-12);
}

/// Prints the sizes that no measurement changes.
void print_model(const ModelConfig& config) {
  std::printf("%-20s %10zu\n", "parameters", parameter_count(config));
  std::printf("%-20s %10zu bytes in f32\n", "cache per token",
              cache_elements(config) * sizeof(float));
  if (!config.windows.empty()) {
    std::printf("%-20s %10zu bytes in f32\n", "beyond windows",
                cache_elements_beyond_windows(config) * sizeof(float));
  }
  std::printf("\n");
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

int run(PlanCommand& command) {
  ProbeOptions& probe = command.probe;
  probe.precision = command.method.precision;  // any: the run's machine need not be this one
  probe.method = command.method.settled_method();
  const ModelConfig config = config_of(command.model);
  check_lengths(config, {probe.context, probe.horizon, probe.evict_at, probe.entropy_top_k});
  const ProbeRoom room = divide_memory(config, probe);
  print_model(config);
  print_memory(room, probe.horizon);
  print_arithmetic(config, probe);
  return 0;
}

}  // namespace

int plan_command(std::span<const std::string> words) {
  PlanCommand command;
  OptionSet options(kHelp);
  command.declare(options);
  return options.run(words, std::cout, [&] { return run(command); });
}

}  // namespace longshadow
