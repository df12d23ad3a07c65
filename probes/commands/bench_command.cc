#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "probes/commands/commands.h"
#include "probes/cost/arithmetic.h"
#include "probes/experiments/bench.h"
#include "probes/experiments/policy_bench.h"
#include "probes/experiments/retain.h"
#include "probes/models/model_location.h"
#include "probes/options/method_options.h"
#include "probes/options/model_options.h"
#include "probes/options/option_set.h"
#include "probes/subjects/budget.h"

namespace longshadow {
namespace {

const CommandHelp kHelp{
    "bench [options]",
    "Times prefill, the full pass and the counterfactuals on random tokens, beside the\n"
    "matrix-product peak that the device reaches in the same run on the shapes of the\n"
    "feed-forward weights. Medians of three rounds. With --policies, what eviction policies' "
    "scores\n"
    "add to a prefill.",
    "  longshadow bench\n"
    "  longshadow bench --precision bf16 --subjects 16 --json bench.json\n"
    "  longshadow bench --context 4096 --policies snapkv,infokv\n"};

nlohmann::json to_json(const PhaseRate& phase) {
  return {{"per_s", phase.per_second},
          {"gflop_per_s", phase.flops_per_second * 1e-9},
          {"share_of_peak", phase.share_of_peak}};
}

nlohmann::json to_json(const BenchOptions& options, const BenchResult& result,
                       const CommandDevice& device, const std::string& model) {
  return {{"model", model},
          {"device", device.name()},
          {"threads", device.threads()},
          {"context", options.context},
          {"future", options.horizon},
          {"subjects", options.subjects},
          {"precision", name_of(options.precision)},
          {"method", name_of(options.method)},
          {"full_peak_gflop_per_s", result.full_peak_flops_per_second * 1e-9},
          {"delta_peak_gflop_per_s", result.delta_peak_flops_per_second * 1e-9},
          {"prefill", to_json(result.prefill)},
          {"full_pass", to_json(result.full_pass)},
          {"counterfactuals", to_json(result.counterfactuals)}};
}

void print(const char* name, const char* unit, const PhaseRate& phase) {
  std::printf("%-16s %9.4g %-9s %8.0f %8.0f%%\n", name, phase.per_second, unit,
              phase.flops_per_second * 1e-9, 100 * phase.share_of_peak);
}

void print(const BenchResult& result) {
  std::printf("%-16s %19s %8s %9s\n", "phase", "rate     ", "GFLOP/s", "of peak");
  std::printf("%-16s %19s %8.0f\n", "peak, full pass", "",
              result.full_peak_flops_per_second * 1e-9);
  std::printf("%-16s %19s %8.0f\n", "peak, deltas", "", result.delta_peak_flops_per_second * 1e-9);
  print("prefill", "tokens/s", result.prefill);
  print("full pass", "tokens/s", result.full_pass);
  print("counterfactuals", "/s", result.counterfactuals);
}

void print(const std::vector<PolicyPrefill>& prefills) {
  std::printf("%-24s %9s %12s %12s\n", "prefill", "s", "over alone", "over first");
  for (const PolicyPrefill& one : prefills) {
    std::printf("%-24s %9.3f", one.policy.empty() ? "alone" : one.policy.c_str(), one.seconds);
    if (!one.policy.empty()) {
      std::printf(" %11.1f%% %11.1f%%", 100 * one.over_alone, 100 * one.over_first);
    }
    std::printf("\n");
  }
}

void print_output_share(double share) {
  std::printf(
      "\nThe output product would be %.1f%% of this model's prefill at every position, which "
      "exact\n"
      "entropies cost; products of bytes, where the processor has them, take a quarter of the "
      "time.\n",
      100 * share);
}

/// The options of the command, as they are read.
struct BenchCommand {
  ModelOptions model;
  MethodOptions method;
  std::size_t context = 2048;
  std::size_t horizon = 512;
  std::size_t subjects = 32;
  std::string policies;
  Budget budget;
  std::string json;

  void declare(OptionSet& options);
};

void BenchCommand::declare(OptionSet& options) {
  model.declare(options);
  method.declare(options);
  options.add("context,T", value(context), "tokens before the eviction");
  options.add("future,H", value(horizon), "positions after it");
  options.add("subjects,s", value(subjects), "counterfactuals of one round");
  options.add("policies", value(policies, "none"),
              "instead, prefill in f32 with these eviction policies' scores, in turns with the "
              "prefill alone: snapkv,infokv");
  options.add("budget", parsed(budget, parse_budget, "0.2"), "share that the policies keep");
  options.add("json", value(json), "write the figures to this file");
}

int run(BenchCommand& command) {
  CommandDevice device(command.model);
  command.method.settle_precision(device.kind(), std::cerr);
  const BenchOptions bench{command.context, command.horizon, command.subjects,
                           command.method.precision, command.method.settled_method()};
  const auto checkpoint = open_model(command.model.model, std::cerr);
  const ModelConfig& config = checkpoint->config();
  if (bench.context == 0 || bench.horizon == 0 || bench.subjects == 0 ||
      bench.context + bench.horizon > config.max_context) {
    throw UsageError(
        "--context, --future and --subjects: expected at least 1 each, and context "
        "and future together at most the model's " +
        std::to_string(config.max_context) + " tokens");
  }
  if (!command.policies.empty()) {
    print(bench_policies(device.get(), *checkpoint, bench.context, split_policies(command.policies),
                         command.budget.share));
    print_output_share(output_share_of_prefill(config, bench.context));
    return 0;
  }
  const BenchResult result = run_bench(device.get(), *checkpoint, bench);
  print(result);
  if (!command.json.empty()) {
    std::ofstream file(command.json);
    file << to_json(bench, result, device, config.name).dump(2) << '\n';
    if (!file.flush()) throw Error(command.json + ": cannot be written");
  }
  return 0;
}

}  // namespace

int bench_command(std::span<const std::string> words) {
  BenchCommand command;
  OptionSet options(kHelp);
  command.declare(options);
  return options.run(words, std::cout, [&] { return run(command); });
}

}  // namespace longshadow
