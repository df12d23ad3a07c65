#include "engine/ops/norm/rms_norm.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::elements;
using test::random_matrix;

// The mean of squares, all of one sign, is off by at most cols + 1 roundings, its root by half of
// that; the root, its inverse and two products round four times more.
TEMPLATE_TEST_CASE("rms_norm at widths that are and are not whole lanes", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 7, 16, 48, 576, 577);
  const double scale = GENERATE(1e-4, 1.0, 1e4);
  const double epsilon = 1e-5;
  CAPTURE(cols, scale);
  const Matrix<T> x = random_matrix<T>(cpu, 5, cols, 1, scale);
  const Matrix<T> w = random_matrix<T>(cpu, 1, cols, 2);
  Matrix<T> y(cpu.memory(), 5, cols);
  test::run_on(on.device,
               [&](auto& at) { rms_norm(on.device, at.in(x), at.in(w), epsilon, at.out(y)); });
  const double relative = (static_cast<double>(cols + 1) / 2 + 4) * twin::unit_roundoff<T>;
  for (std::size_t r = 0; r < 5; ++r) {
    const twin::Row expected =
        twin::rms_norm(twin::row(x.row(r), cols), twin::row(w.row(0), cols), epsilon);
    for (std::size_t c = 0; c < cols; ++c) {
      CHECK(std::abs(double(y.row(r)[c]) - expected[c]) <= relative * std::abs(expected[c]));
    }
  }
}

TEMPLATE_TEST_CASE("rms_norm of zeros is zeros, and has one result for any threads", "", float,
                   double) {
  using T = TestType;
  const auto norm = [](Cpu& cpu) {
    Matrix<T> x = random_matrix<T>(cpu, 70, 50, 1);
    std::fill_n(x.row(3), 50, T{0});
    const Matrix<T> w = random_matrix<T>(cpu, 1, 50, 2);
    Matrix<T> y(cpu.memory(), 70, 50);
    rms_norm(cpu, std::as_const(x).view(), w.view(), 1e-6, y.view());
    return elements(y);
  };
  CHECK(test::same_bits_for_any_threads(norm));
  Cpu cpu(1);
  const std::vector<T> y = norm(cpu);
  for (std::size_t c = 0; c < 50; ++c) CHECK(y[3 * 50 + c] == 0);
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("rms_norm refuses shapes that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  CHECK(test::error_of([&] {
          rms_norm(on.device, test::shaped<const float>(5, 4), test::shaped<const float>(1, 3),
                   1e-5, test::shaped<float>(5, 4));
        }) == "rms_norm: w is [1, 3], expected [1, 4]");
  CHECK(test::error_of([&] {
          rms_norm(on.device, test::shaped<const float>(5, 4), test::shaped<const float>(1, 4),
                   1e-5, test::shaped<float>(4, 4));
        }) == "rms_norm: y is [4, 4], expected [5, 4]");
}
#endif

}  // namespace
}  // namespace longshadow
