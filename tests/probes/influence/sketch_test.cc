#include "probes/influence/sketch.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "engine/checkpoint/checkpoint.h"
#include "probes/measure/fisher_sketch.h"
#include "tests/support/devices.h"
#include "tests/support/finite_differences.h"
#include "tests/support/gated_model.h"
#include "tests/support/random_matrix.h"
#include "tests/support/tiny_models.h"

namespace longshadow {
namespace {

constexpr std::size_t kContext = 21;
constexpr std::size_t kFuture = 11;

/// A tiny model after its full pass, with a tape of the future.
template <class T, class Device = Cpu>
struct Case {
  Device device;
  std::unique_ptr<Checkpoint> checkpoint;
  ProbeModel model;
  std::vector<TokenId> tokens;
  ActivationTape tape;
  FullPass full;

  static constexpr Precision kExact = sizeof(T) == 8 ? Precision::f64 : Precision::f32;

  /// On the processor by so many threads.
  explicit Case(const std::string& name, std::size_t threads = 2, Precision precision = kExact)
      : device(make_device(threads)),
        checkpoint(open_checkpoint(test::kTinyModels / name)),
        model(load_probe_model(device, *checkpoint, precision, true)),
        tokens(some_tokens()),
        tape(device, model.weights, {kContext, tokens.size()}),
        full(read()) {}

  static Device make_device(std::size_t threads) {
    if constexpr (std::is_same_v<Device, Cpu>) {
      return Cpu(threads);
    } else {
      return Device();
    }
  }
  static std::vector<TokenId> some_tokens() {
    std::vector<TokenId> tokens;
    for (TokenId i = 0; i < TokenId(kContext + kFuture); ++i) tokens.push_back(i * 37 % 311);
    return tokens;
  }
  const ModelConfig& config() const { return model.weights.config; }
  FullPass read() {
    LayerObserver* observer = &tape;
    return run_full_pass(device, model.weights, std::span<const TokenId>(tokens),
                         std::span<LayerObserver* const>(&observer, 1), {});
  }

  /// The gates' derivatives along draws of a bin, as FisherSketch::run() gives them.
  Matrix<T> gates(const Range& bin, const ProbeDraws& draws, std::size_t n_draws) {
    FisherSketch fisher(device, model.weights, {*model.transposed, full.cache}, full, tape, 64);
    Matrix<T> there(device.memory(), config().n_layers * n_draws * config().n_kv_heads, kContext);
    fisher.run(bin, draws, n_draws, there.view());
    return to_host(device, std::move(there));
  }

  RunSketch sketch(const SketchOptions& options, std::size_t max_rows = 64) {
    std::ostringstream log;
    Progress progress(log, ProgressStyle::none, "", "", 1);
    return sketch_document(device, model, full, tape, options, max_rows, progress);
  }
};

// The whole chain, from a direction over the vocabulary at some rows back to the gates, against
// differences of a model that has gates.
TEST_CASE("a probe's gradients are derivatives of the gated model") {
  const std::string name = GENERATE(from_range(test::kTinyModelNames));
  const ProbeKind kind = GENERATE(ProbeKind::signs, ProbeKind::sampled);
  CAPTURE(name, int(kind));
  Case<double> of(name);
  const ModelConfig& config = of.config();
  const Range bin{3, 9};
  const std::size_t n_draws = 2;
  const ProbeDraws draws{kind, 5, 1};
  const Matrix<double> gates = of.gates(bin, draws, n_draws);

  // The same directions at the final hidden states.
  Matrix<double> directions(of.device.memory(), n_draws * bin.size(), config.hidden_size);
  std::vector<PairedRows> streams;
  for (std::size_t b = 0; b < n_draws; ++b) {
    streams.push_back({b * bin.size(), bin.size(), kContext + bin.begin});
  }
  const FullPredictionsView full{of.full.hidden.view(), of.full.log_normalisers, of.full.likeliest};
  const Weights& weights = of.model.weights;
  const ProbedOutputView output{weights.head.output, weights.head.packed_output,
                                of.model.transposed->output, weights.head.logit_cap};
  fisher_probes(of.device, output, full, draws, std::span<const PairedRows>(streams),
                directions.view());

  test::GatedModel model(*of.checkpoint, of.tokens, kContext);
  for (std::size_t b = 0; b < n_draws; ++b) {
    double size = 0;
    const auto value = [&] {
      const twin::Rows hidden = model.hidden();
      double total = 0;
      size = 0;
      for (std::size_t r = 0; r < bin.size(); ++r) {
        const twin::Row direction =
            twin::row(directions.row(b * bin.size() + r), config.hidden_size);
        total += twin::dot(direction, hidden[kContext + bin.begin + r]);
        size += twin::magnitude(direction, hidden[kContext + bin.begin + r]);
      }
      return total;
    };
    for (std::size_t i = b; i < kContext; i += 7) {
      for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
        for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
          const double expected = test::derivative(model.gate(layer, head, i), value);
          const double found = gates.row((layer * n_draws + b) * config.n_kv_heads + head)[i];
          CAPTURE(b, i, layer, head, expected, found);
          // The differences' own rounding: some hundreds of eps of what is differenced, over h.
          CHECK(std::abs(found - expected) <= 1e-10 * size);
        }
      }
    }
  }
}

/// Of g = v . d, at one row, where v is drawn from p_j: E g^2 and E g^4 over the draws.
struct Moments {
  double second = 0, fourth = 0;
};

/// d is d logits_j / d g_i, [V].
Moments moments_of(ProbeKind kind, const twin::Row& p, const twin::Row& d) {
  double mean = 0;
  for (std::size_t v = 0; v < p.size(); ++v) mean += static_cast<double>(p[v] * d[v]);
  Moments moments;
  double fourth_powers = 0;
  for (std::size_t v = 0; v < p.size(); ++v) {
    const double square = std::pow(static_cast<double>(d[v]) - mean, 2);
    const double share = static_cast<double>(p[v]);
    moments.second += share * square;
    fourth_powers += (kind == ProbeKind::signs ? share * share : share) * square * square;
  }
  // `sampled`: g = ±(d_y - mean). `signs`: g = sum_v ±w_v, w_v^2 = p_v (d_v - mean)^2.
  moments.fourth = kind == ProbeKind::signs
                       ? 3 * moments.second * moments.second - 2 * fourth_powers
                       : fourth_powers;
  return moments;
}

/// What one probe makes of each token's influence, g^2 / (2 rows) with g summed over a bin's rows:
/// its mean over the draws, which is the KL to second order, and its variance. Each [bins, T].
struct ProbedInfluence {
  std::vector<double> mean, variance;
};

ProbedInfluence second_order(test::GatedModel& model, const ModelConfig& config, ProbeKind kind,
                             std::span<const Range> bins) {
  const auto set = [&](std::size_t column, double gate) {
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
        model.gate(layer, head, column) = gate;
      }
    }
  };
  const twin::Rows full = model.hidden();
  constexpr double h = 1e-4;
  const std::size_t n = bins.size() * kContext;
  ProbedInfluence influence{std::vector<double>(n), std::vector<double>(n)};
  for (std::size_t i = 0; i < kContext; ++i) {
    set(i, 1 + h);
    const twin::Rows above = model.hidden();
    set(i, 1 - h);
    const twin::Rows below = model.hidden();
    set(i, 1);
    for (std::size_t bin = 0; bin < bins.size(); ++bin) {
      // Rows have draws of their own, of mean 0: of E g^4 the terms of one row and of two are left.
      double second = 0, of_one_row = 0;
      for (std::size_t r = bins[bin].begin; r < bins[bin].end; ++r) {
        const twin::Row logits = model.logits(full[kContext + r]);
        const twin::Row up = model.logits(above[kContext + r]);
        twin::Row slope = model.logits(below[kContext + r]);
        for (std::size_t v = 0; v < slope.size(); ++v) slope[v] = (up[v] - slope[v]) / (2 * h);
        const auto p = twin::softmax({logits.begin(), logits.end()});
        const Moments moments = moments_of(kind, {p.begin(), p.end()}, slope);
        second += moments.second;
        of_one_row += moments.fourth - 3 * moments.second * moments.second;
      }
      const double per_nat = 2 * static_cast<double>(bins[bin].size());
      const double fourth = of_one_row + 3 * second * second;
      influence.mean[bin * kContext + i] = second / per_nat;
      influence.variance[bin * kContext + i] = (fourth - second * second) / (per_nat * per_nat);
    }
  }
  return influence;
}

TEST_CASE("with many probes the sketch is the KL to second order, within its standard errors") {
  const std::string name = GENERATE(from_range(test::kFewTinyModelNames));
  const ProbeKind kind = GENERATE(ProbeKind::signs, ProbeKind::sampled);
  CAPTURE(name, int(kind));
  Case<double> of(name);
  SketchOptions options;
  options.bins = {{0, 1}, {1, 5}, {5, kFuture}};
  options.n_probes = 600;
  options.kind = kind;
  const RunSketch sketch = of.sketch(options, 1000);
  test::GatedModel model(*of.checkpoint, of.tokens, kContext);
  const ProbedInfluence expected = second_order(model, of.config(), kind, options.bins);
  REQUIRE(sketch.fi.size() == expected.mean.size());
  REQUIRE(sketch.standard_error.size() == expected.mean.size());
  double ratios = 0;
  for (std::size_t i = 0; i < expected.mean.size(); ++i) {
    const double variance = expected.variance[i] / static_cast<double>(options.n_probes);
    const double error = std::sqrt(variance);
    CAPTURE(i, expected.mean[i], error, sketch.fi[i], sketch.standard_error[i]);
    CHECK(std::abs(double(sketch.fi[i]) - expected.mean[i]) <= 5 * error);
    CHECK(error <= 0.2 * expected.mean[i]);
    ratios += std::pow(double(sketch.standard_error[i]), 2) / variance;
  }
  // A token's own standard error knows little of a rare draw that matters much, but its square is
  // right on average over tokens: off by sqrt(14 / 600) for one token of normal g, and for all, if
  // they were off together. Three times that is allowed.
  CHECK(std::abs(ratios / static_cast<double>(expected.mean.size()) - 1) <= 0.46);
}

TEMPLATE_TEST_CASE("a sketch has the same bits for any threads and any rows at once", "", double,
                   float) {
  using T = TestType;
  SketchOptions options;
  options.bins = {{0, 3}, {3, kFuture}};
  options.n_probes = 7;
  const auto bits = [&](std::size_t threads, std::size_t max_rows) {
    const RunSketch sketch = Case<T>("llama_llama3", threads).sketch(options, max_rows);
    std::vector<float> values = sketch.fi;
    values.insert(values.end(), sketch.standard_error.begin(), sketch.standard_error.end());
    return values;
  };
  const std::vector<float> expected = bits(1, 1);
  CHECK(test::same_bits(bits(2, 1), expected));
  CHECK(test::same_bits(bits(3, 40), expected));
  CHECK(test::same_bits(bits(2, 1000), expected));
}

/// The relative error of the whole, in the square sum.
double relative_error(const std::vector<float>& found, const std::vector<float>& expected) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    error += std::pow(double(found[i]) - double(expected[i]), 2);
    size += std::pow(double(expected[i]), 2);
  }
  return std::sqrt(error / size);
}

// The same probes in other precisions. f32: roundings of some hundred terms in a row of products,
// 2^-24 each; bf16: two dozen products in a row whose factors are off by 2^-9 on average; squares
// double both.
TEST_CASE("precisions agree on the same probes") {
  SketchOptions options;
  options.bins = {{0, 3}, {3, kFuture}};
  options.n_probes = 8;
  const std::vector<float> exact = Case<double>("llama_llama3").sketch(options).fi;
  CHECK(relative_error(Case<float>("llama_llama3").sketch(options).fi, exact) < 1e-4);
  const std::vector<float> rounded =
      Case<float>("llama_llama3", 2, Precision::bf16).sketch(options).fi;
  CHECK(relative_error(rounded, exact) < 0.05);
  CHECK(relative_error(rounded, exact) > 0);
}

/// Of all gates, in the square sum.
template <class T>
double gate_difference(Case<T, Cuda>& there, Case<T>& here, ProbeKind kind) {
  const ProbeDraws draws{kind, 5, 1};
  const Matrix<T> found = there.gates({3, 9}, draws, 3), expected = here.gates({3, 9}, draws, 3);
  double error = 0, size = 0;
  for (std::size_t i = 0; i < expected.rows() * expected.cols(); ++i) {
    error += std::pow(double(found.data()[i]) - double(expected.data()[i]), 2);
    size += std::pow(double(expected.data()[i]), 2);
  }
  return std::sqrt(error / size);
}

// The same probes: roundings of some hundred terms in a row of products, 2^-53 or 2^-24 each. A map
// is kept in f32; squares double errors, and of bf16's each side has those of the test above.
TEST_CASE("a CUDA device's sketch is the processor's", "[host_cuda]") {
  const test::InThreadOrder order(GENERATE(from_range(test::kThreadOrders)));
  const std::string name = GENERATE(from_range(test::kFewTinyModelNames));
  const ProbeKind kind = GENERATE(ProbeKind::signs, ProbeKind::sampled);
  CAPTURE(name, int(kind));
  SketchOptions options;
  options.bins = {{0, 3}, {3, kFuture}};
  options.n_probes = 5;
  options.kind = kind;
  options.detail = MapDetail::head;
  Case<double> here(name);
  Case<double, Cuda> there(name);
  CHECK(gate_difference(there, here, kind) <= 1e-13);
  const RunSketch expected = here.sketch(options);
  const RunSketch found = there.sketch(options, 40);
  for (const auto part : {&RunSketch::fi, &RunSketch::standard_error, &RunSketch::fi_parts}) {
    CHECK(relative_error(found.*part, expected.*part) <= 0x1p-23);
  }
  Case<float> here_f32(name);
  Case<float, Cuda> there_f32(name);
  CHECK(gate_difference(there_f32, here_f32, kind) <= 5e-6);
  CHECK(relative_error(there_f32.sketch(options).fi, here_f32.sketch(options).fi) <= 1e-5);
  const std::vector<float> rounded = Case<float, Cuda>(name, 2, Precision::bf16).sketch(options).fi;
  CHECK(relative_error(rounded, expected.fi) < 0.05);
  CHECK(relative_error(rounded, expected.fi) > 0);
}

TEST_CASE("parts of the map by layer and KV head") {
  SketchOptions options;
  options.bins = {{0, 3}, {3, kFuture}};
  options.n_probes = 4;
  const auto sketch = [&](const std::string& name, MapDetail detail) {
    options.detail = detail;
    return Case<double>(name).sketch(options);
  };
  const RunSketch by_token = sketch("qwen2", MapDetail::token);
  const RunSketch by_layer = sketch("qwen2", MapDetail::layer);
  const RunSketch by_head = sketch("qwen2", MapDetail::head);
  CHECK(by_token.fi_parts.empty());
  CHECK(by_token.detail == "token");
  CHECK(test::same_bits(by_layer.fi, by_token.fi));
  // This model has one KV head, so that a layer is a head.
  CHECK(by_layer.fi_parts.size() == 2 * 2 * kContext);
  CHECK(test::same_bits(by_head.fi_parts, by_layer.fi_parts));
  // That one has two.
  const RunSketch heads = sketch("llama_plain", MapDetail::head);
  CHECK(heads.fi_parts.size() == 2 * 2 * 2 * kContext);
}

/// What a set's second-order cost is of: a sketch by head of llama_plain with its projections.
RunSketch projected(const std::vector<Range>& bins, std::size_t n_probes) {
  SketchOptions options;
  options.bins = bins;
  options.n_probes = n_probes;
  options.detail = MapDetail::head;
  options.keeps_projections = true;
  return Case<double>("llama_plain").sketch(options);
}

/// One slot of the cache of llama_plain, which has two layers of two KV heads.
struct Slot {
  std::size_t layer, kv_head, token;
};

/// sum_{i in set} g_p,i of each probe of a bin, and of their magnitudes.
std::vector<std::pair<double, double>> projections_of(const RunSketch& sketch, std::size_t bin,
                                                      std::span<const Slot> set) {
  const auto n_probes = static_cast<std::size_t>(sketch.probes);
  std::vector<std::pair<double, double>> sums(n_probes);
  for (std::size_t probe = 0; probe < n_probes; ++probe) {
    for (const Slot& slot : set) {
      const std::size_t row = ((bin * n_probes + probe) * 2 + slot.layer) * 2 + slot.kv_head;
      const double g = double(sketch.projections[row * kContext + slot.token]);
      sums[probe].first += g;
      sums[probe].second += std::abs(g);
    }
  }
  return sums;
}

TEST_CASE("projections square to the maps by head and, summed over heads, to the map by token") {
  constexpr double kRounding = 0x1p-24;  // of a float: the projections', then the maps'
  const std::vector<Range> bins = {{0, 3}, {3, kFuture}};
  const RunSketch sketch = projected(bins, 4);
  REQUIRE(sketch.projections.size() == 2 * 4 * 2 * 2 * kContext);
  const auto check = [&](float found, std::size_t bin, std::span<const Slot> set) {
    double expected = 0, error = 0;
    for (const auto& [sum, magnitude] : projections_of(sketch, bin, set)) {
      const double off = kRounding * magnitude;
      expected += sum * sum / 4 / 2 / double(bins[bin].size());
      error += (2 * std::abs(sum) * off + off * off) / 4 / 2 / double(bins[bin].size());
    }
    CAPTURE(bin, found, expected);
    CHECK(std::abs(double(found) - expected) <= error + 2 * kRounding * expected);
  };
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    for (std::size_t i = 0; i < kContext; ++i) {
      std::vector<Slot> everywhere;
      for (std::size_t head = 0; head < 4; ++head) {
        everywhere.push_back({head / 2, head % 2, i});
        check(sketch.fi_parts[(bin * 4 + head) * kContext + i], bin,
              std::span(&everywhere.back(), 1));
      }
      check(sketch.fi[bin * kContext + i], bin, everywhere);
    }
  }
}

/// Mean over a bin's rows of the KL from the model with open gates to that whose gates of `set` are
/// at `gate`.
double gated_kl(test::GatedModel& model, const Range& bin, std::span<const Slot> set, double gate) {
  const twin::Rows full = model.hidden();
  for (const Slot& slot : set) model.gate(slot.layer, slot.kv_head, slot.token) = gate;
  const twin::Rows without = model.hidden();
  for (const Slot& slot : set) model.gate(slot.layer, slot.kv_head, slot.token) = 1;
  double kl = 0;
  for (std::size_t r = bin.begin; r < bin.end; ++r) {
    const twin::Row there = model.logits(full[kContext + r]);
    const twin::Row here = model.logits(without[kContext + r]);
    const auto p = twin::softmax({there.begin(), there.end()});
    const auto q = twin::softmax({here.begin(), here.end()});
    for (std::size_t v = 0; v < p.size(); ++v)
      kl += static_cast<double>(p[v] * std::log(p[v] / q[v]));
  }
  return kl / double(bin.size());
}

// Four standard errors over the probes, and what the differences leave out.
TEST_CASE("a set's projections give its KL to second order") {
  const std::vector<Range> bins = {{0, 4}, {2, kFuture}};
  const std::size_t n_probes = 1000;
  const RunSketch sketch = projected(bins, n_probes);
  Case<double> of("llama_plain");
  test::GatedModel model(*of.checkpoint, of.tokens, kContext);
  const std::vector<std::vector<Slot>> sets = {
      {{0, 0, 3}, {0, 1, 3}, {1, 0, 3}, {1, 1, 3}},
      {{0, 0, 2}, {0, 0, 9}, {0, 0, 15}, {0, 0, 16}, {0, 0, 20}},
      {{0, 1, 4}, {1, 0, 11}, {1, 1, 17}, {1, 1, 18}, {1, 1, 19}},
  };
  std::vector<double> ratios;
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    for (const std::vector<Slot>& set : sets) {
      double mean = 0, square = 0, alone = 0;
      for (const auto& [sum, magnitude] : projections_of(sketch, bin, set)) {
        const double nats = sum * sum / 2 / double(bins[bin].size());
        mean += nats / double(n_probes);
        square += nats * nats / double(n_probes);
      }
      for (const Slot& slot : set) {
        alone += double(
            sketch.fi_parts[((bin * 2 + slot.layer) * 2 + slot.kv_head) * kContext + slot.token]);
      }
      const double error = std::sqrt((square - mean * mean) / double(n_probes - 1));
      // With gates at 1 - h and 1 + h the terms of third order cancel: h^2 (Q + O(h^2)).
      constexpr double h = 1e-2;
      const double expected =
          (gated_kl(model, bins[bin], set, 1 - h) + gated_kl(model, bins[bin], set, 1 + h)) / 2 /
          (h * h);
      CAPTURE(bin, set.size(), mean, error, expected, alone);
      CHECK(std::abs(mean - expected) <= 4 * error + 1e-2 * expected);
      CHECK(error <= 0.06 * expected);
      ratios.push_back(expected / alone);
    }
  }
  // The sum of what each does alone is no such measure.
  CHECK(std::any_of(ratios.begin(), ratios.end(), [](double ratio) { return ratio < 0.8; }));
  CHECK(std::any_of(ratios.begin(), ratios.end(), [](double ratio) { return ratio > 1.2; }));
}

}  // namespace
}  // namespace longshadow
