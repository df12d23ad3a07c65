#include "engine/ops/divergence/kl_divergence.h"

#include <catch2/catch.hpp>
#include <type_traits>

#include "engine/core/range.h"
#include "engine/ops/common/lanes.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/larger.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::F32;
using test::F64;
using test::kFactorRoundoff;
using test::MixedBF16;
using test::random_matrix;
using test::rounded_copy;

constexpr std::size_t kHidden = 24;

/// A full pass of `full_rows` rows and a batch of changes to its hidden states.
template <class T, class P>
struct Inputs {
  std::size_t vocab_size;
  double cap;
  Matrix<T> output, hidden, delta;
  std::vector<double> log_normalisers;
  std::vector<std::int32_t> likeliest;

  Inputs(Cpu& cpu, std::size_t vocabulary, std::size_t full_rows, std::size_t delta_rows,
         double delta_scale, double logit_cap = 0)
      : vocab_size(vocabulary),
        cap(logit_cap),
        output(random_matrix<T>(cpu, vocabulary, kHidden, 1, 0.5)),
        hidden(random_matrix<T>(cpu, full_rows + kRowTile, kHidden, 2)),
        delta(random_matrix<T>(cpu, delta_rows + kRowTile, kHidden, 3, delta_scale)) {
    for (std::size_t r = 0; r < full_rows; ++r) {
      std::vector<long double> row = logits(hidden.row(r));
      for (long double& logit : row) logit = capped(logit);
      const auto largest = std::max_element(row.begin(), row.end());
      long double sum = 0;
      for (const long double logit : row) sum += std::exp(logit - *largest);
      log_normalisers.push_back(static_cast<double>(*largest + std::log(sum)));
      likeliest.push_back(static_cast<std::int32_t>(largest - row.begin()));
    }
  }

  long double capped(long double logit) const {
    return cap == 0 ? logit : cap * std::tanh(logit / cap);
  }

  /// Before they are capped.
  std::vector<long double> logits(const T* of) const {
    std::vector<long double> row(vocab_size);
    for (std::size_t v = 0; v < vocab_size; ++v) {
      for (std::size_t i = 0; i < kHidden; ++i) {
        row[v] += static_cast<long double>(of[i]) * static_cast<long double>(output.row(v)[i]);
      }
    }
    return row;
  }

  template <class Device>
  std::vector<double> run(Device& device, std::span<const PairedRows> streams) const {
    Cpu cpu(1);
    std::vector<double> kl(delta.rows(), -7);
    const PackedWeights packed = test::packed(device, rounded_copy<T>(cpu, output));
    const PackedWeights delta_packed = test::packed(device, rounded_copy<P>(cpu, output));
    const auto rounded_delta = rounded_copy<P>(cpu, delta);
    test::run_on(device, [&](auto& at) {
      const FullPredictionsView full{at.in(hidden), log_normalisers, likeliest};
      kl_divergence(device, OutputWeightsView{at.in(output), packed, delta_packed, cap}, full,
                    at.in(rounded_delta), streams, std::span(kl));
    });
    return kl;
  }
};

struct Expected {
  double kl_nats;
  double bound;
};

/// A capped logit and its change, in long double and without a difference of logits.
struct Capped {
  long double cap, before, step, denominator, logit, change;

  Capped(long double plain, long double plain_change, long double of_cap)
      : cap(of_cap),
        before(std::tanh(plain / cap)),
        step(std::tanh(plain_change / cap)),
        denominator(1 + before * step),
        logit(cap * before),
        change(cap * step * (1 - before * before) / denominator) {}

  /// What the change may be off by beside its argument's own error. An error of the logit moves it
  /// by the difference of the two slopes. In T a tanh is off by 8 ulp, 16 u, so that 1 - tanh² and
  /// the denominator are off by 34 u and 36 u; other roundings are relative.
  long double own_error(long double logit_error, double u) const {
    const long double after = before + change / cap;
    return logit_error * std::abs(before * before - after * after) +
           cap * u * (34 * std::abs(step) + 36 * std::abs(change / cap)) / denominator +
           24 * u * std::abs(change);
  }
};

/// KL by its definition, in long double, and what the op may be off by.
///
/// With q the evicted distribution: a logit change off by e moves KL by e sum |q - p| at first
/// order and e² at second. A relative error h of p moves it by h sum p |q/p - 1 - (c - r)|. The
/// sums over p (e^c - 1 - c) and p c, kMaxTileOutputs / lanes terms and 16 ulp each in T, enter
/// with weights 1 / (1 + S + r) and |S + r| / (1 + S + r). The end is f64 whatever T. The
/// definition itself, here, does not know the sums of p and q better than long double adds them.
/// A cap, no steeper than 1, moves none of this further, and adds Capped::own_error().
template <class T, class P>
Expected expected_kl(const Inputs<T, P>& in, std::size_t full_row, std::size_t delta_row) {
  constexpr double u = twin::unit_roundoff<T>;
  const twin::Row hidden = twin::row(in.hidden.row(full_row), kHidden);
  const twin::Row delta = twin::row(in.delta.row(delta_row), kHidden);
  std::vector<long double> full = in.logits(in.hidden.row(full_row));
  std::vector<long double> change = in.logits(in.delta.row(delta_row));
  double logit_magnitude = 0, change_magnitude = 0;
  for (std::size_t v = 0; v < full.size(); ++v) {
    const twin::Row direction = twin::row(in.output.row(v), kHidden);
    logit_magnitude = test::larger(logit_magnitude, twin::magnitude(direction, hidden));
    change_magnitude = test::larger(change_magnitude, twin::magnitude(direction, delta));
  }
  const long double logit_error = (kHidden + 8) * u * logit_magnitude;
  long double cap_error = 0;
  std::vector<long double> evicted;
  for (std::size_t v = 0; v < full.size(); ++v) {
    if (in.cap != 0) {
      const Capped one(full[v], change[v], in.cap);
      cap_error = test::larger(cap_error, one.own_error(logit_error, u));
      full[v] = one.logit;
      change[v] = one.change;
    }
    evicted.push_back(full[v] + change[v]);
  }
  const std::vector<long double> p = twin::softmax(full), q = twin::softmax(evicted);
  const long double a = change[in.likeliest[full_row]];
  long double kl = 0, moved = 0, second_order = 0, mean = 0, mean_magnitude = 0, remainder = 0;
  for (std::size_t v = 0; v < p.size(); ++v) mean += p[v] * (change[v] - a);
  for (std::size_t v = 0; v < p.size(); ++v) {
    const long double c = change[v] - a;
    kl += p[v] * std::log(p[v] / q[v]);
    moved += std::abs(q[v] - p[v]);
    second_order += std::abs(q[v] - p[v] - p[v] * (c - mean));
    mean_magnitude += p[v] * std::abs(c);
    remainder += p[v] * (std::abs(c) < 1e-3L ? c * c / 2 + c * c * c / 6 : std::expm1(c) - c);
  }
  const long double change_error =
      ((kHidden + 4) * u + 2 * kFactorRoundoff<P>)*2 * change_magnitude + 2 * cap_error;
  const long double p_error = (kHidden + 8) * u * std::max(1.0, logit_magnitude) + 19 * u * in.cap;
  const long double sum_error = (kMaxTileOutputs / kLanes<T> + 32) * u;
  const long double size = 1 + remainder + mean;
  const long double own_error = static_cast<long double>(p.size() + 8) * 0x1p-64L;
  const long double bound = change_error * moved + change_error * change_error +
                            p_error * second_order + sum_error * remainder / size +
                            sum_error * mean_magnitude * std::abs(remainder + mean) / size +
                            4 * 0x1p-53L * (std::abs(mean) + remainder) + own_error;
  return {static_cast<double>(kl), static_cast<double>(bound)};
}

TEMPLATE_TEST_CASE("KL of changes from tiny to huge", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const std::size_t vocab_size = GENERATE(as<std::size_t>(), 5, 256, 1000);
  const double scale = GENERATE(1e-6, 1e-3, 0.1, 1.0, 8.0);
  const double cap = GENERATE(0.0, 3.0);
  CAPTURE(vocab_size, scale, cap);
  const Inputs<T, P> in(cpu, vocab_size, 20, 20, scale, cap);
  const std::vector<PairedRows> streams{{0, 20, 0}};
  const std::vector<double> found = in.run(on.device, streams);
  for (std::size_t r = 0; r < 20; ++r) {
    const Expected expected = expected_kl(in, r, r);
    CHECK(std::abs(found[r] - expected.kl_nats) <= expected.bound);
    // The bound says something where one token does not hold everything: three digits in f32, and
    // the leading one with bf16 factors.
    const double meaningful = std::is_same_v<P, BF16> ? 0.3 : 1e-3;
    if (vocab_size == 1000 && scale <= 0.1) CHECK(expected.bound < meaningful * expected.kl_nats);
  }
}

TEMPLATE_TEST_CASE("no change, no influence", "", test::CpuF32, test::CpuF64, test::CpuMixedBF16,
                   test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const Inputs<typename TestType::T, typename TestType::P> in(cpu, 1000, 5, 5, 0,
                                                              GENERATE(0.0, 3.0));
  const std::vector<PairedRows> streams{{0, 5, 0}};
  const std::vector<double> found = in.run(on.device, streams);
  for (std::size_t r = 0; r < 5; ++r) CHECK(found[r] == 0);
}

// All logits moved alike is no change of the distribution, whatever the size of the move.
TEMPLATE_TEST_CASE("a common shift of all logits has no influence", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  Inputs<T, T> in(cpu, 1000, 5, 5, 0);
  for (std::size_t v = 0; v < 1000; ++v) {
    in.output.row(v)[0] = T{1};
  }
  for (std::size_t r = 0; r < 5; ++r) in.delta.row(r)[0] = T{100};
  const std::vector<PairedRows> streams{{0, 5, 0}};
  const std::vector<double> found = in.run(on.device, streams);
  for (std::size_t r = 0; r < 5; ++r) CHECK(found[r] == 0);
}

TEMPLATE_TEST_CASE("streams meet the full rows of their own positions", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  // Over one tile border of the full rows, over two, within one, and the very last row; in the
  // batch they begin at no multiple of anything, and rows 37 and 38 belong to none.
  const std::vector<PairedRows> streams{{0, 37, 110}, {39, 161, 101}, {200, 5, 3}, {205, 1, 299}};
  const Inputs<T, P> in(cpu, 300, 300, 206, 0.1, GENERATE(0.0, 3.0));
  const std::vector<double> together = in.run(on.device, streams);
  for (const PairedRows& stream : streams) {
    for (std::size_t r = 0; r < stream.n_rows; ++r) {
      const Expected expected = expected_kl(in, stream.full_row + r, stream.first_row + r);
      CHECK(std::abs(together[stream.first_row + r] - expected.kl_nats) <= expected.bound);
    }
    // The same bits when a stream comes alone.
    const std::vector<double> alone = in.run(on.device, std::span(&stream, 1));
    const auto part = [&](const std::vector<double>& kl) {
      return std::vector<double>(kl.begin() + stream.first_row,
                                 kl.begin() + stream.first_row + stream.n_rows);
    };
    CHECK(test::same_bits(part(together), part(alone)));
  }
  CHECK(together[37] == -7);
  CHECK(together[38] == -7);
}

TEMPLATE_TEST_CASE("KL has one result for any threads", "", F32, F64, MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  const std::vector<PairedRows> streams{{0, 100, 20}, {100, 100, 60}};
  CHECK(test::same_bits_for_any_threads(
      [&](Cpu& cpu) { return Inputs<T, P>(cpu, 1000, 160, 200, 0.1).run(cpu, streams); }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("kl_divergence refuses shapes and rows that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const PackedWeights weights = test::zero_weights<float>(on.device, 7, 4);
  const std::vector<double> log_normalisers(9);
  std::vector<double> kl_nats(5 + kRowTile);
  const auto call = [&](std::size_t hidden_rows, std::int32_t likeliest, PairedRows stream) {
    const std::vector<std::int32_t> tokens(9, likeliest);
    const FullPredictionsView full{test::shaped<const float>(hidden_rows, 4), log_normalisers,
                                   tokens};
    kl_divergence(on.device, OutputWeightsView{test::shaped<const float>(7, 4), weights, weights},
                  full, test::shaped<const float>(kl_nats.size(), 4),
                  std::span<const PairedRows>(&stream, 1), std::span(kl_nats));
  };
  CHECK(test::error_of([&] {
          call(9, 0, {0, 5, 0});
        }) == "kl_divergence: full.hidden is [9, 4], expected [137, 4] or more rows");
  CHECK(test::error_of([&] {
          call(9 + kRowTile, 7, {0, 5, 0});
        }) == "kl_divergence: full.likeliest[0] is 7, expected at least 0 and below 7");
  CHECK(test::error_of([&] {
          call(9 + kRowTile, 0, {1, 5, 0});
        }) == "kl_divergence: the end of a pair's rows is 6, expected at most 5");
}
#endif

}  // namespace
}  // namespace longshadow
