#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "probes/arithmetic.h"
#include "probes/bench.h"
#include "probes/commands.h"
#include "probes/device_option.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/policy_bench.h"
#include "probes/policy_choice.h"
#include "probes/probe_options.h"
#include "probes/retain.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

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

}  // namespace

int bench_command(std::span<const std::string> words) {
  po::options_description options("Options");
  auto add = options.add_options();
  add_model_options(options);
  add_device_option(options);
  add_method_options(options);
  add("context,T", po::value<std::size_t>()->default_value(2048), "tokens before the eviction");
  add("future,H", po::value<std::size_t>()->default_value(512), "positions after it");
  add("subjects,s", po::value<std::size_t>()->default_value(32), "counterfactuals of one round");
  add("policies", po::value<std::string>()->default_value("", "none"),
      "instead, prefill in f32 with these eviction policies' scores, in turns with the prefill "
      "alone: snapkv,infokv");
  add("budget", po::value<std::string>()->default_value("0.2"), "share that the policies keep");
  add("json", po::value<std::string>()->default_value(""), "write the figures to this file");
  const auto parsed = parse_options(kHelp, words, options);
  if (!parsed) return 0;
  const po::variables_map& values = *parsed;
  CommandDevice device(values);
  BenchOptions bench_options{values["context"].as<std::size_t>(),
                             values["future"].as<std::size_t>(),
                             values["subjects"].as<std::size_t>(),
                             {},
                             {}};
  bench_options.precision =
      parse_precision(values["precision"].as<std::string>(), device.kind(), std::cerr);
  bench_options.method = parse_method(values["method"].as<std::string>(), bench_options.precision);
  const auto checkpoint = open_model(values["model"].as<std::string>(), std::cerr);
  const std::size_t n = bench_options.context + bench_options.horizon;
  if (bench_options.context == 0 || bench_options.horizon == 0 || bench_options.subjects == 0 ||
      n > checkpoint->config().max_context) {
    throw UsageError(
        "--context, --future and --subjects: expected at least 1 each, and context "
        "and future together at most the model's " +
        std::to_string(checkpoint->config().max_context) + " tokens");
  }
  if (const std::string policies = values["policies"].as<std::string>(); !policies.empty()) {
    device.run([&](auto& on) {
      print(bench_policies(on, *checkpoint, bench_options.context, split_policies(policies),
                           parse_budget(values["budget"].as<std::string>(), "--budget")));
    });
    print_output_share(output_share_of_prefill(checkpoint->config(), bench_options.context));
    return 0;
  }
  BenchResult result;
  device.run([&](auto& on) { result = run_bench(on, *checkpoint, bench_options); });
  print(result);
  if (const std::string path = values["json"].as<std::string>(); !path.empty()) {
    std::ofstream file(path);
    file << to_json(bench_options, result, device, checkpoint->config().name).dump(2) << '\n';
    if (!file.flush()) throw Error(path + ": cannot be written");
  }
  return 0;
}

}  // namespace longshadow
