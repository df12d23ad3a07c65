#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "engine/core/error.h"
#include "engine/ops/tile_scratch.h"
#include "probes/commands.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/probe_model.h"
#include "probes/probe_options.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

const CommandHelp kHelp{
    "bench [options]",
    "Times the full pass and the counterfactuals on random tokens, beside the matrix-product peak\n"
    "that this machine reaches in the same run on the shapes of the feed-forward weights.",
    "  longshadow bench\n"
    "  longshadow bench --precision bf16 --subjects 16 --json bench.json\n"};

/// Each figure is the median of this many rounds; peak and counterfactuals take turns, so that both
/// meet the same mood of the machine.
constexpr int kRounds = 3;

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Floating-point operations of one token's products with weights, the output's included.
double weight_flops(const ModelConfig& config) {
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t keys = config.n_kv_heads * config.head_dim;
  const std::size_t per_layer =
      config.hidden_size * (2 * queries + 2 * keys + 3 * config.feed_forward_size);
  return 2.0 *
         static_cast<double>(config.n_layers * per_layer + config.vocab_size * config.hidden_size);
}

/// Attention's products for `rows` rows after `prefix` positions: 2 of size d for each row and
/// prefix column, and for each row and own column 2 in the direct form and 4 in the differential.
double attention_flops(const ModelConfig& config, std::size_t rows, std::size_t prefix,
                       Method method) {
  const double own = static_cast<double>(rows) / 2 * (method == Method::differential ? 4 : 2);
  return 2.0 * static_cast<double>(config.n_layers * config.n_heads * config.head_dim * rows) *
         (2.0 * static_cast<double>(prefix) + own);
}

/// FLOP/s of products with one layer's gate weights, in tiles as the engine runs them.
template <class P, class T>
double product_rate(Cpu& cpu, const PackedWeights<P>& weights) {
  constexpr std::size_t kRowTiles = 16;
  constexpr int kRepeats = 20;
  Matrix<P> x(cpu.memory(), kRowTile, weights.inputs());
  const double seconds = seconds_of([&] {
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      cpu.parallel_for(weights.n_tiles() * kRowTiles, [&](std::size_t task) {
        struct Products;
        const std::size_t tile = task / kRowTiles;
        const MatrixView<T> products =
            tile_scratch<T, Products>(cpu, kRowTile, weights.padded_width(tile));
        weights.multiply_tile(tile, std::as_const(x).view(), products);
      });
    }
  });
  return kRepeats * 2.0 *
         static_cast<double>(kRowTiles * kRowTile * weights.inputs() * weights.outputs()) / seconds;
}

template <class T>
double product_rate(Cpu& cpu, const ProbeModel<T>& model) {
  return model.rounded_layers.empty()
             ? product_rate<T, T>(cpu, model.weights.layers.front().gate)
             : product_rate<BF16, float>(cpu, model.rounded_layers.front().gate);
}

struct BenchOptions {
  std::size_t context;
  std::size_t horizon;
  std::size_t subjects;
  Precision precision;
  Method method;
};

struct BenchResult {
  double prefill_tokens_per_s;
  double prefill_flops_per_s;
  double counterfactuals_per_s;
  double counterfactual_flops_per_s;
  double peak_flops_per_s;
  double share_of_peak;  ///< median over the rounds of one over the other
};

template <class T>
BenchResult bench(Cpu& cpu, const Checkpoint& checkpoint, const BenchOptions& options) {
  const ProbeModel<T> model = load_probe_model<T>(cpu, checkpoint, options.precision);
  const ModelConfig& config = model.weights.config;
  const std::size_t n = options.context + options.horizon;
  std::mt19937_64 random(0);
  std::vector<std::int32_t> tokens(n);
  for (auto& token : tokens) token = static_cast<std::int32_t>(random() % config.vocab_size);

  std::unique_ptr<ActivationTape<Cpu, T>> tape;
  std::vector<FullPassObserver<T>*> observers;
  if (options.method == Method::differential) {
    tape = std::make_unique<ActivationTape<Cpu, T>>(cpu, config, options.context, n);
    observers.push_back(tape.get());
  }
  std::vector<double> prefills;
  std::unique_ptr<FullPass<T>> full;
  for (int round = 0; round < kRounds; ++round) {
    prefills.push_back(seconds_of([&] {
      full = std::make_unique<FullPass<T>>(
          run_full_pass(cpu, model.weights, std::span<const std::int32_t>(tokens),
                        std::span<FullPassObserver<T>* const>(observers), {}));
    }));
  }

  std::vector<Counterfactual> counterfactuals;
  for (std::size_t i = 0; i < options.subjects; ++i) {
    const std::size_t token = (i + 1) * options.context / (options.subjects + 1);
    counterfactuals.push_back({Removal({{token, token + 1}}), options.context});
  }
  const std::size_t max_batch =
      std::min(choose_batch_rows({}, 0, options.horizon) / options.horizon, options.subjects);
  const PreparedEngine prepared =
      make_engine(cpu, model, *full, tape.get(), options.precision, options.horizon, max_batch);
  std::vector<double> kl_nats(max_batch * options.horizon);
  const double flops_each =
      weight_flops(config) * static_cast<double>(options.horizon) +
      attention_flops(config, options.horizon, options.context, options.method);
  std::vector<double> runs;
  std::vector<double> peaks;
  std::vector<double> shares;
  for (int round = 0; round < kRounds; ++round) {
    peaks.push_back(product_rate(cpu, model));
    runs.push_back(seconds_of([&] {
      for (std::size_t first = 0; first < options.subjects; first += max_batch) {
        const std::size_t count = std::min(max_batch, options.subjects - first);
        prepared.engine->run(std::span(counterfactuals).subspan(first, count), kl_nats);
      }
    }));
    shares.push_back(flops_each * static_cast<double>(options.subjects) / runs.back() /
                     peaks.back());
  }

  const double prefill_flops =
      weight_flops(config) * static_cast<double>(n) + attention_flops(config, n, 0, Method::direct);
  const double rate = static_cast<double>(options.subjects) / median(runs);
  return {static_cast<double>(n) / median(prefills),
          prefill_flops / median(prefills),
          rate,
          rate * flops_each,
          median(peaks),
          median(shares)};
}

nlohmann::json to_json(const BenchOptions& options, const BenchResult& result, const Cpu& cpu,
                       const std::string& model) {
  return {{"model", model},
          {"threads", cpu.threads()},
          {"context", options.context},
          {"future", options.horizon},
          {"subjects", options.subjects},
          {"precision", name_of(options.precision)},
          {"method", name_of(options.method)},
          {"prefill_tokens_per_s", result.prefill_tokens_per_s},
          {"prefill_gflop_per_s", result.prefill_flops_per_s * 1e-9},
          {"counterfactuals_per_s", result.counterfactuals_per_s},
          {"counterfactual_gflop_per_s", result.counterfactual_flops_per_s * 1e-9},
          {"peak_gflop_per_s", result.peak_flops_per_s * 1e-9},
          {"counterfactual_share_of_peak", result.share_of_peak}};
}

void print(const BenchResult& result) {
  std::printf("%-18s %10s %10s\n", "phase", "rate", "GFLOP/s");
  std::printf("%-18s %10s %10.0f\n", "product peak", "", result.peak_flops_per_s * 1e-9);
  std::printf("%-18s %6.0f t/s %10.0f\n", "full pass", result.prefill_tokens_per_s,
              result.prefill_flops_per_s * 1e-9);
  std::printf("%-18s %8.2f/s %10.0f   %.0f%% of the peak\n", "counterfactuals",
              result.counterfactuals_per_s, result.counterfactual_flops_per_s * 1e-9,
              100 * result.share_of_peak);
}

}  // namespace

int bench_command(std::span<const std::string> words) {
  po::options_description options("Options");
  auto add = options.add_options();
  add_model_options(options);
  add("context,T", po::value<std::size_t>()->default_value(2048), "tokens before the eviction");
  add("future,H", po::value<std::size_t>()->default_value(512), "positions after it");
  add("subjects,s", po::value<std::size_t>()->default_value(32), "counterfactuals of one round");
  add("json", po::value<std::string>()->default_value(""), "write the figures to this file");
  const auto parsed = parse_options(kHelp, words, options);
  if (!parsed) return 0;
  const po::variables_map& values = *parsed;
  BenchOptions bench_options{values["context"].as<std::size_t>(),
                             values["future"].as<std::size_t>(),
                             values["subjects"].as<std::size_t>(),
                             {},
                             {}};
  bench_options.precision = parse_precision(values["precision"].as<std::string>());
  bench_options.method = parse_method(values["method"].as<std::string>(), bench_options.precision);
  const auto checkpoint = open_checkpoint(locate_model(values["model"].as<std::string>()));
  const std::size_t n = bench_options.context + bench_options.horizon;
  if (bench_options.context == 0 || bench_options.horizon == 0 || bench_options.subjects == 0 ||
      n > checkpoint->config().max_context) {
    throw UsageError(
        "--context, --future and --subjects: expected at least 1 each, and context "
        "and future together at most the model's " +
        std::to_string(checkpoint->config().max_context) + " tokens");
  }
  Cpu cpu(values["threads"].as<std::size_t>());
  const BenchResult result = bench_options.precision == Precision::f64
                                 ? bench<double>(cpu, *checkpoint, bench_options)
                                 : bench<float>(cpu, *checkpoint, bench_options);
  print(result);
  if (const std::string path = values["json"].as<std::string>(); !path.empty()) {
    std::ofstream file(path);
    file << to_json(bench_options, result, cpu, checkpoint->config().name).dump(2) << '\n';
    if (!file.flush()) throw Error(path + ": cannot be written");
  }
  return 0;
}

}  // namespace longshadow
