#include "engine/ops/feed_forward/silu_gate.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

// e^-g is off by 2 ulp, 4 u, the sum, the quotient and the product by a rounding each.
TEMPLATE_TEST_CASE("silu_gate at widths that are and are not whole lanes", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37);
  CAPTURE(cols);
  const Matrix<T> gate = random_matrix<T>(cpu, 40, cols, 1, 10);
  const Matrix<T> up = random_matrix<T>(cpu, 40, cols, 2);
  Matrix<T> out(cpu.memory(), 40, cols);
  test::run_on(on.device,
               [&](auto& at) { silu_gate(on.device, at.in(gate), at.in(up), at.out(out)); });
  for (std::size_t i = 0; i < 40 * cols; ++i) {
    const double expected = twin::silu(double(gate.data()[i])) * double(up.data()[i]);
    CHECK(std::abs(double(out.data()[i]) - expected) <=
          8 * twin::unit_roundoff<T> * std::abs(expected));
  }
}

TEMPLATE_TEST_CASE("silu_gate far out, and in place", "", test::CpuF32, test::CpuF64, test::CudaF32,
                   test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  Matrix<T> gate(cpu.memory(), 1, 32);
  Matrix<T> up(cpu.memory(), 1, 32);
  std::fill_n(up.data(), 32, T{1});
  // The lane loop and the remainder, one each, at both ends.
  for (const std::size_t first : {0, 16}) {
    gate.data()[first] = T{-1000};
    gate.data()[first + 1] = T{1000};
    gate.data()[first + 2] = T{-20};
  }
  test::run_on(on.device, [&](auto& at) {
    const MatrixView<T> odd = at.out(gate).column_range(0, 19);
    silu_gate(on.device, MatrixView<const T>(odd), at.in(up).column_range(0, 19), odd);
  });
  for (const std::size_t first : {0, 16}) {
    CHECK(std::abs(gate.data()[first]) <= std::numeric_limits<T>::min() * 4000);
    CHECK(gate.data()[first + 1] == T{1000});
    CHECK(double(gate.data()[first + 2]) ==
          Approx(twin::silu(-20)).epsilon(8 * twin::unit_roundoff<T>));
  }
}

TEMPLATE_TEST_CASE("silu_gate has one result for any threads", "", float, double) {
  using T = TestType;
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    const Matrix<T> gate = random_matrix<T>(cpu, 70, 50, 1);
    const Matrix<T> up = random_matrix<T>(cpu, 70, 50, 2);
    Matrix<T> out(cpu.memory(), 70, 50);
    silu_gate(cpu, gate.view(), up.view(), out.view());
    return test::elements(out);
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("silu_gate refuses shapes that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  CHECK(test::error_of([&] {
          silu_gate(on.device, test::shaped<const float>(5, 4), test::shaped<const float>(5, 3),
                    test::shaped<float>(5, 4));
        }) == "silu_gate: up is [5, 3], expected [5, 4]");
  CHECK(test::error_of([&] {
          silu_gate(on.device, test::shaped<const float>(5, 4), test::shaped<const float>(5, 4),
                    test::shaped<float>(6, 4));
        }) == "silu_gate: out is [6, 4], expected [5, 4]");
}
#endif

}  // namespace
}  // namespace longshadow
