#include "engine/ops/feed_forward/gate.h"

#include <array>
#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr std::array kActivations{Activation::silu, Activation::gelu_tanh};

// e^-z is off by 2 ulp, 4 u, the sum, the quotient and the product by a rounding each; gelu_tanh's
// z is by 5 before that. Where e^-z overflows, the result is 0 or as small.
TEMPLATE_TEST_CASE("apply_gate at widths that are and are not whole lanes", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37);
  const Activation activation = GENERATE(from_range(kActivations));
  CAPTURE(cols, int(activation));
  const Matrix<T> gate = random_matrix<T>(cpu, 40, cols, 1, 10);
  const Matrix<T> up = random_matrix<T>(cpu, 40, cols, 2);
  Matrix<T> out(cpu.memory(), 40, cols);
  test::run_on(on.device, [&](auto& at) {
    apply_gate(on.device, activation, at.in(gate), at.in(up), at.out(out));
  });
  for (std::size_t i = 0; i < 40 * cols; ++i) {
    const double g = double(gate.data()[i]), u = double(up.data()[i]);
    const double expected = twin::activation(activation, g) * u;
    const double of_exponent =
        activation == Activation::silu
            ? 0
            : 5 * std::abs(static_cast<double>(twin::gate_exponent(activation, g)));
    CHECK(std::abs(double(out.data()[i]) - expected) <=
          (8 + of_exponent) * twin::unit_roundoff<T> * std::abs(expected) +
              double(std::numeric_limits<T>::min()) * std::abs(g * u));
  }
}

TEMPLATE_TEST_CASE("apply_gate far out, and in place", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const Activation activation = GENERATE(from_range(kActivations));
  Matrix<T> gate(cpu.memory(), 1, 32);
  Matrix<T> up(cpu.memory(), 1, 32);
  std::fill_n(up.data(), 32, T{1});
  // The lane loop and the remainder, one each, at both ends.
  for (const std::size_t first : {0, 16}) {
    gate.data()[first] = T{-1000};
    gate.data()[first + 1] = T{1000};
    gate.data()[first + 2] = T{-2};
  }
  test::run_on(on.device, [&](auto& at) {
    const MatrixView<T> odd = at.out(gate).column_range(0, 19);
    apply_gate(on.device, activation, MatrixView<const T>(odd), at.in(up).column_range(0, 19), odd);
  });
  for (const std::size_t first : {0, 16}) {
    CHECK(std::abs(gate.data()[first]) <= std::numeric_limits<T>::min() * 4000);
    CHECK(gate.data()[first + 1] == T{1000});
    CHECK(double(gate.data()[first + 2]) ==
          Approx(twin::activation(activation, -2)).epsilon(40 * twin::unit_roundoff<T>));
  }
}

TEST_CASE("the twin's gelu_tanh is its definition") {
  for (const double g : {-6.0, -1.3, -0.1, 0.0, 1e-9, 0.7, 3.0, 40.0}) {
    CHECK(std::abs(twin::activation(Activation::gelu_tanh, g) - twin::gelu_tanh(g)) <=
          4 * 0x1p-53 * std::abs(g));
  }
}

TEMPLATE_TEST_CASE("apply_gate has one result for any threads", "", float, double) {
  using T = TestType;
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    const Matrix<T> gate = random_matrix<T>(cpu, 70, 50, 1);
    const Matrix<T> up = random_matrix<T>(cpu, 70, 50, 2);
    Matrix<T> out(cpu.memory(), 70, 50);
    apply_gate(cpu, Activation::gelu_tanh, gate.view(), up.view(), out.view());
    return test::elements(out);
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("apply_gate refuses shapes that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  CHECK(test::error_of([&] {
          apply_gate(on.device, Activation::silu, test::shaped<const float>(5, 4),
                     test::shaped<const float>(5, 3), test::shaped<float>(5, 4));
        }) == "apply_gate: up is [5, 3], expected [5, 4]");
  CHECK(test::error_of([&] {
          apply_gate(on.device, Activation::silu, test::shaped<const float>(5, 4),
                     test::shaped<const float>(5, 4), test::shaped<float>(6, 4));
        }) == "apply_gate: out is [6, 4], expected [5, 4]");
}
#endif

}  // namespace
}  // namespace longshadow
