#include "engine/ops/norm/rms_norm_backward.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/finite_differences.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr double kEpsilon = 1e-5;

/// By the formula, and the magnitude that roundings are relative to: both sums have D terms, and
/// each result takes a dozen roundings more.
template <class T>
void check_row(const T* x, const T* w, const T* dy, const T* before, std::size_t cols,
               const T* dx) {
  const twin::Row input = twin::row(x, cols);
  twin::Row weighted = twin::row(w, cols);
  for (std::size_t i = 0; i < cols; ++i) weighted[i] *= static_cast<double>(dy[i]);
  const double width = static_cast<double>(cols);
  const double r = 1 / std::sqrt(twin::dot(input, input) / width + kEpsilon);
  for (std::size_t i = 0; i < cols; ++i) {
    const double share = r * r * r / width * input[i];
    const double start = static_cast<double>(before[i]);
    const double expected = start + r * weighted[i] - share * twin::dot(input, weighted);
    const double magnitude = std::abs(start) + r * std::abs(weighted[i]) +
                             std::abs(share) * twin::magnitude(input, weighted);
    CAPTURE(i);
    CHECK(std::abs(static_cast<double>(dx[i]) - expected) <=
          (2 * width + 12) * twin::unit_roundoff<T> * magnitude);
  }
}

TEMPLATE_TEST_CASE("rms_norm_backward adds the formula's gradient", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 48, 577);
  CAPTURE(cols);
  const Matrix<T> x = random_matrix<T>(cpu, 30, cols, 1);
  const Matrix<T> w = random_matrix<T>(cpu, 1, cols, 2);
  const Matrix<T> dy = random_matrix<T>(cpu, 20, cols, 3);
  const Matrix<T> before = random_matrix<T>(cpu, 20, cols, 4);
  Matrix<T> dx = random_matrix<T>(cpu, 20, cols, 4);
  const std::vector<PairedRows> pairs{{0, 5, 20}, {7, 13, 3}};
  test::run_on(on.device, [&](auto& at) {
    rms_norm_backward(on.device, at.in(x), at.in(w), kEpsilon, at.in(dy), std::span(pairs),
                      at.out(dx));
  });
  for (const PairedRows& pair : pairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) {
      const std::size_t row = pair.first_row + r;
      check_row(x.row(pair.full_row + r), w.data(), dy.row(row), before.row(row), cols,
                dx.row(row));
    }
  }
  CHECK(test::same_bits(test::elements(dx, 5, 2), test::elements(before, 5, 2)));
}

TEST_CASE("rms_norm_backward is the derivative of rms_norm") {
  Cpu cpu(1);
  const std::size_t cols = 37;
  Matrix<double> x = random_matrix<double>(cpu, 1, cols, 1);
  const MatrixView<const double> input = x.view();
  const Matrix<double> w = random_matrix<double>(cpu, 1, cols, 2);
  const Matrix<double> dy = random_matrix<double>(cpu, 1, cols, 3);
  Matrix<double> dx(cpu.memory(), 1, cols);
  const PairedRows pair{0, 1, 0};
  rms_norm_backward(cpu, input, w.view(), kEpsilon, dy.view(), std::span(&pair, 1), dx.view());
  const auto value = [&] {
    return twin::dot(
        twin::row(dy.data(), cols),
        twin::rms_norm(twin::row(x.data(), cols), twin::row(w.data(), cols), kEpsilon));
  };
  for (std::size_t i = 0; i < cols; ++i) {
    CHECK(std::abs(dx.data()[i] - test::derivative(x.data()[i], value)) <= 1e-10);
  }
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("rms_norm_backward refuses shapes and rows that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](std::size_t dy_rows, PairedRows pair) {
    rms_norm_backward(on.device, test::shaped<const float>(9, 4), test::shaped<const float>(1, 4),
                      kEpsilon, test::shaped<const float>(dy_rows, 4),
                      std::span<const PairedRows>(&pair, 1), test::shaped<float>(5, 4));
  };
  CHECK(test::error_of([&] {
          call(6, {0, 5, 0});
        }) == "rms_norm_backward: dy is [6, 4], expected [5, 4]");
  CHECK(test::error_of([&] {
          call(5, {3, 3, 0});
        }) == "rms_norm_backward: the end of a pair's rows is 6, expected at most 5");
  CHECK(test::error_of([&] {
          call(5, {0, 3, 7});
        }) == "rms_norm_backward: the end of a pair's full rows is 10, expected at most 9");
}
#endif

}  // namespace
}  // namespace longshadow
