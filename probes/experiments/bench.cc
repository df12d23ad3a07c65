#include "probes/experiments/bench.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/ops/common/tile_scratch.h"
#include "engine/ops/projection/linear.h"
#include "probes/cost/arithmetic.h"
#include "probes/measure/probe_model.h"
#include "probes/runs/timing.h"

namespace longshadow {
namespace {

constexpr int kRounds = 3;

double seconds_of(Device& device, const std::function<void()>& work) {
  device.synchronize();
  Stopwatch watch;
  work();
  device.synchronize();
  return watch.lap();
}

constexpr std::size_t kPeakRowTiles = 16;

/// x [kPeakRowTiles kRowTile, inputs] times `weights` in tiles as the engine runs them, all with
/// the first rows, which stay in the processor's caches.
template <class Sum>
void multiply_tiles(Cpu& cpu, const Tensor& x, const PackedWeights& weights) {
  cpu.parallel_for(weights.n_tiles() * kPeakRowTiles, [&](std::size_t task) {
    struct Products;
    const std::size_t tile = task / kPeakRowTiles;
    weights.multiply_tile(tile, x.view().row_range(0, kRowTile),
                          tile_scratch<Sum, Products>(cpu, kRowTile, weights.padded_width(tile)));
  });
}

/// FLOP/s of products with `weights`.
double product_rate(Device& device, const PackedWeights& weights) {
  constexpr int kRepeats = 20;
  const bool is_cpu = device.kind() == DeviceKind::cpu, is_wide = weights.element() == Element::f64;
  const Tensor x(device.memory(), weights.element(), kPeakRowTiles * kRowTile, weights.inputs());
  Tensor products(device.memory(), is_wide ? Element::f64 : Element::f32, is_cpu ? 0 : x.rows(),
                  weights.outputs());
  const double seconds = seconds_of(device, [&] {
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      if (!is_cpu) {
        linear(device, x.view(), weights, products.view());
      } else if (is_wide) {
        multiply_tiles<double>(cpu_of(device), x, weights);
      } else {
        multiply_tiles<float>(cpu_of(device), x, weights);
      }
    }
  });
  return kRepeats * 2.0 * static_cast<double>(x.rows() * weights.inputs() * weights.outputs()) /
         seconds;
}

/// Times a phase beside its peak, round by round.
class PhaseTimer {
 public:
  /// One round does `units` units of `flops` floating-point operations in all.
  PhaseTimer(double units, double flops) : units_(units), flops_(flops) {}

  void add_round(Device& device, double peak_flops_per_second, const std::function<void()>& work) {
    const double seconds = seconds_of(device, work);
    peaks_.push_back(peak_flops_per_second);
    seconds_.push_back(seconds);
    shares_.push_back(flops_ / seconds / peak_flops_per_second);
  }

  PhaseRate rate() const {
    const double seconds = upper_median(seconds_);
    return {units_ / seconds, flops_ / seconds, upper_median(shares_)};
  }
  double peak() const { return upper_median(peaks_); }

 private:
  double units_;
  double flops_;
  std::vector<double> peaks_, seconds_, shares_;
};

}  // namespace

BenchResult run_bench(Device& device, const Checkpoint& checkpoint, const BenchOptions& options) {
  const ProbeModel model = load_probe_model(device, checkpoint, options.precision);
  const ModelConfig& config = model.weights.config;
  const std::size_t n = options.context + options.horizon;
  std::mt19937_64 random(0);
  std::vector<std::int32_t> tokens(n);
  for (auto& token : tokens) token = static_cast<std::int32_t>(random() % config.vocab_size);
  const auto full_peak = [&] {
    return product_rate(device, model.weights.matrices.front().feed_forward.gate());
  };
  const auto delta_peak = [&] {
    return model.rounded_matrices.empty()
               ? full_peak()
               : product_rate(device, model.rounded_matrices.front().feed_forward.gate());
  };

  const auto read = [&](std::size_t count, std::span<LayerObserver* const> observers,
                        std::size_t predict_from) {
    FullPassOptions pass;
    pass.predict_from = predict_from;
    return run_full_pass(device, model.weights, std::span<const std::int32_t>(tokens).first(count),
                         observers, pass);
  };
  const double context = static_cast<double>(options.context);
  PhaseTimer prefill(context, prefill_flops(config, options.context) + output_flops(config, 1));
  for (int round = 0; round < kRounds; ++round) {
    prefill.add_round(device, full_peak(), [&] { read(options.context, {}, options.context - 1); });
  }

  std::unique_ptr<ActivationTape> tape;
  std::vector<LayerObserver*> observers;
  if (options.method == Method::differential) {
    tape = std::make_unique<ActivationTape>(device, model.weights, Range{options.context, n});
    observers.push_back(tape.get());
  }
  const double all = static_cast<double>(n);
  PhaseTimer full_pass(all, prefill_flops(config, n) + output_flops(config, n));
  std::unique_ptr<FullPass> full;
  for (int round = 0; round < kRounds; ++round) {
    full_pass.add_round(device, full_peak(),
                        [&] { full = std::make_unique<FullPass>(read(n, observers, 0)); });
  }

  std::vector<Counterfactual> batch;
  for (std::size_t i = 0; i < options.subjects; ++i) {
    const std::size_t token = (i + 1) * options.context / (options.subjects + 1);
    batch.push_back({Removal({{token, token + 1}}), options.context});
  }
  const std::size_t max_batch =
      std::min(choose_batch_rows({}, 0, options.horizon) / options.horizon, options.subjects);
  const PreparedEngine prepared =
      make_engine(device, model, *full, tape.get(), options.horizon, max_batch);
  std::vector<double> kl_nats(max_batch * options.horizon);
  const double flops_each =
      product_flops(config, options.horizon) +
      attention_flops(config, options.horizon, options.context, options.method);
  const auto subjects = static_cast<double>(options.subjects);
  PhaseTimer counterfactuals(subjects, flops_each * subjects);
  for (int round = 0; round < kRounds; ++round) {
    counterfactuals.add_round(device, delta_peak(), [&] {
      for (std::size_t first = 0; first < options.subjects; first += max_batch) {
        const std::size_t count = std::min(max_batch, options.subjects - first);
        prepared.engine->run(std::span(batch).subspan(first, count), kl_nats);
      }
    });
  }
  return {full_pass.peak(), counterfactuals.peak(), prefill.rate(), full_pass.rate(),
          counterfactuals.rate()};
}

}  // namespace longshadow
