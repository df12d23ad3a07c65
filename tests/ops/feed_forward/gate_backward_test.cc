#include "engine/ops/feed_forward/gate_backward.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/finite_differences.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

/// The gradients, and the magnitude of the terms of the gate's.
struct Expected {
  double gate, up, magnitude;
};

Expected by_formula(Activation activation, double gate, double up, double dout) {
  const long double z = twin::gate_exponent(activation, gate);
  const long double inner = gate * twin::gate_exponent_slope(activation, gate) * twin::logistic(-z);
  const long double outer = dout * up * twin::logistic(z);
  return {static_cast<double>(outer * (1 + inner)), dout * twin::activation(activation, gate),
          static_cast<double>(std::abs(outer) * (1 + std::abs(inner)))};
}

TEMPLATE_TEST_CASE("gate_backward is the formula", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const Activation activation = GENERATE(Activation::silu, Activation::gelu_tanh);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37);
  const Matrix<T> gate = random_matrix<T>(cpu, 30, cols, 1, 5);
  const Matrix<T> up = random_matrix<T>(cpu, 30, cols, 2);
  const Matrix<T> dout = random_matrix<T>(cpu, 20, cols, 3);
  const Matrix<P> before = test::rounded_copy<P>(cpu, dout);
  Matrix<P> dgate_rounded = test::rounded_copy<P>(cpu, dout);
  Matrix<P> dup_rounded = test::rounded_copy<P>(cpu, dout);
  const std::vector<PairedRows> pairs{{0, 5, 20}, {7, 13, 3}};
  test::run_on(on.device, [&](auto& at) {
    gate_backward(on.device, activation, at.in(gate), at.in(up), at.in(dout), std::span(pairs),
                  at.out(dgate_rounded), at.out(dup_rounded));
  });
  const Matrix<T> dgate = test::widened_copy<T>(cpu, dgate_rounded);
  const Matrix<T> dup = test::widened_copy<T>(cpu, dup_rounded);
  for (const PairedRows& pair : pairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) {
        const double g = double(gate.row(pair.full_row + r)[c]);
        const double u = double(up.row(pair.full_row + r)[c]);
        const double d = double(dout.row(pair.first_row + r)[c]);
        const Expected expected = by_formula(activation, g, u, d);
        // exp is within 2 ulp of its argument's result, and a dozen roundings follow; 1 + g (1 -
        // sigma) cancels where g is near -1.28, so its terms count. Rounding to bf16 is the last.
        // gelu_tanh's z is off by 5 roundings, which two sigmas make relative, and where e^-z
        // overflows sigma is 0 or as small.
        const double exponent = static_cast<double>(twin::gate_exponent(activation, g));
        const double of_exponent = activation == Activation::silu ? 0 : 10 * std::abs(exponent);
        const double relative =
            (20 + of_exponent) * twin::unit_roundoff<T> + test::kFactorRoundoff<P>;
        const double slope = static_cast<double>(twin::gate_exponent_slope(activation, g));
        const double smallest =
            activation == Activation::silu ? 0 : double(std::numeric_limits<T>::min());
        CHECK(std::abs(double(dgate.row(pair.first_row + r)[c]) - expected.gate) <=
              relative * expected.magnitude +
                  smallest * std::abs(d * u) * (1 + std::abs(g) * slope));
        CHECK(std::abs(double(dup.row(pair.first_row + r)[c]) - expected.up) <=
              relative * std::abs(expected.up) + smallest * std::abs(d * g));
      }
    }
  }
  for (const auto* found : {&dgate_rounded, &dup_rounded}) {
    CHECK(test::same_bits(test::elements(*found, 5, 2), test::elements(before, 5, 2)));
  }
}

TEST_CASE("gate_backward is the derivative of apply_gate") {
  const Activation activation = GENERATE(Activation::silu, Activation::gelu_tanh);
  for (double gate : {-40.0, -3.0, -1.28, 0.0, 0.7, 6.0, 40.0}) {
    double up = 1.7;
    const auto value = [&] { return 0.9 * twin::activation(activation, gate) * up; };
    const Expected found = by_formula(activation, gate, up, 0.9);
    CHECK(std::abs(found.gate - test::derivative(gate, value)) <= 1e-10);
    CHECK(std::abs(found.up - test::derivative(up, value)) <= 1e-10);
  }
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("gate_backward refuses shapes and rows that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](std::size_t up_rows, PairedRows pair) {
    gate_backward(on.device, Activation::silu, test::shaped<const float>(9, 4),
                  test::shaped<const float>(up_rows, 4), test::shaped<const float>(5, 4),
                  std::span<const PairedRows>(&pair, 1), test::shaped<float>(5, 4),
                  test::shaped<float>(5, 4));
  };
  CHECK(test::error_of([&] {
          call(8, {0, 5, 0});
        }) == "gate_backward: up is [8, 4], expected [9, 4]");
  CHECK(test::error_of([&] {
          call(9, {4, 2, 0});
        }) == "gate_backward: the end of a pair's rows is 6, expected at most 5");
}
#endif

}  // namespace
}  // namespace longshadow
