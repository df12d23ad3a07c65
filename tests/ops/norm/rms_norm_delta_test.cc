#include "engine/ops/norm/rms_norm_delta.h"

#include <catch2/catch.hpp>

#include "engine/core/half.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr double kEpsilon = 1e-5;

/// The difference of two results, in long double, and what the op may be off by: its own terms'
/// roundings, and those of the mean s = mean(dx (dx + 2 x)) / m, by which 1 + rho = (1 + s)^(-1/2)
/// moves by half of (1 + rho) / (1 + s); rho itself, of size 1, is f64 whatever T.
template <class T>
void check_row(const T* x, const T* dx, const T* w, std::size_t cols, const T* dy) {
  const auto width = static_cast<long double>(cols);
  long double m = 0, m_after = 0, s_magnitude = 0;
  for (std::size_t i = 0; i < cols; ++i) {
    const long double before = x[i], change = dx[i];
    m += before * before / width;
    m_after += (before + change) * (before + change) / width;
    s_magnitude += std::abs(change) * (std::abs(change) + 2 * std::abs(before)) / width;
  }
  m += kEpsilon;
  m_after += kEpsilon;
  const long double rho = std::sqrt(m / m_after) - 1;
  const long double s_error = (width + 4) * twin::unit_roundoff<T> * s_magnitude / m;
  const long double rho_error =
      s_error * (1 + rho) * m / m_after / 2 + 4 * 0x1p-53L * std::abs(rho);
  for (std::size_t i = 0; i < cols; ++i) {
    const long double scale = std::abs(static_cast<long double>(w[i])) / std::sqrt(m);
    const long double before = x[i], change = dx[i];
    const long double expected =
        w[i] * ((before + change) / std::sqrt(m_after) - before / std::sqrt(m));
    const long double magnitude =
        scale * (std::abs(change) * (1 + rho) + std::abs(before) * std::abs(rho));
    // The twin's own: a difference of two results in long double.
    const long double own_error = (width + 8) * 0x1p-64L * scale * std::abs(before);
    const long double bound = (width / 2 + 8) * twin::unit_roundoff<T> * magnitude +
                              scale * (std::abs(before) + std::abs(change)) * rho_error + own_error;
    CHECK(std::abs(static_cast<long double>(dy[i]) - expected) <= bound);
  }
}

TEMPLATE_TEST_CASE("rms_norm_delta is exact for changes of any size", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 48, 577);
  const double scale = GENERATE(1e-6, 1e-2, 1.0, 100.0);
  CAPTURE(cols, scale);
  const Matrix<T> x = random_matrix<T>(cpu, 30, cols, 1);
  const Matrix<T> w = random_matrix<T>(cpu, 1, cols, 2);
  const Matrix<T> dx = random_matrix<T>(cpu, 20, cols, 3, scale);
  Matrix<T> dy(cpu.memory(), 20, cols);
  std::fill_n(dy.data(), 20 * cols, T{-7});
  const std::vector<PairedRows> pairs{{0, 5, 20}, {7, 13, 3}};
  test::run_on(on.device, [&](auto& at) {
    rms_norm_delta(on.device, at.in(x), at.in(w), kEpsilon, at.in(dx), std::span(pairs),
                   at.out(dy));
  });
  for (const PairedRows& pair : pairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) {
      check_row(x.row(pair.full_row + r), dx.row(pair.first_row + r), w.data(), cols,
                dy.row(pair.first_row + r));
    }
  }
  for (std::size_t i = 5 * cols; i < 7 * cols; ++i) CHECK(dy.data()[i] == T{-7});
}

TEMPLATE_TEST_CASE("rms_norm_delta for a bf16 product is the f32 result rounded", "",
                   test::CpuMixedBF16, test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const std::size_t cols = GENERATE(as<std::size_t>(), 16, 37);
  const Matrix<float> x = random_matrix<float>(cpu, 4, cols, 1);
  const Matrix<float> w = random_matrix<float>(cpu, 1, cols, 2);
  const Matrix<float> dx = random_matrix<float>(cpu, 4, cols, 3, 0.1);
  Matrix<float> exact(cpu.memory(), 4, cols);
  Matrix<BF16> found(cpu.memory(), 4, cols);
  const std::vector<PairedRows> pairs{{0, 4, 0}};
  test::run_on(on.device, [&](auto& at) {
    rms_norm_delta(on.device, at.in(x), at.in(w), kEpsilon, at.in(dx), std::span(pairs),
                   at.out(exact));
    rms_norm_delta(on.device, at.in(x), at.in(w), kEpsilon, at.in(dx), std::span(pairs),
                   at.out(found));
  });
  for (std::size_t i = 0; i < 4 * cols; ++i) {
    CHECK(found.data()[i].bits == to_bf16(exact.data()[i]).bits);
  }
}

TEMPLATE_TEST_CASE("rms_norm_delta of no change is exactly 0", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const Matrix<T> x = random_matrix<T>(cpu, 2, 37, 1), w = random_matrix<T>(cpu, 1, 37, 2);
  const Matrix<T> dx(cpu.memory(), 2, 37);
  Matrix<T> dy = random_matrix<T>(cpu, 2, 37, 3);
  const std::vector<PairedRows> pairs{{0, 2, 0}};
  test::run_on(on.device, [&](auto& at) {
    rms_norm_delta(on.device, at.in(x), at.in(w), kEpsilon, at.in(dx), std::span(pairs),
                   at.out(dy));
  });
  for (std::size_t i = 0; i < 2 * 37; ++i) CHECK(dy.data()[i] == 0);
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("rms_norm_delta refuses shapes and rows that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const auto call = [&](std::size_t dy_rows, PairedRows pair) {
    rms_norm_delta(on.device, test::shaped<const float>(9, 4), test::shaped<const float>(1, 4),
                   kEpsilon, test::shaped<const float>(5, 4), std::span<const PairedRows>(&pair, 1),
                   test::shaped<float>(dy_rows, 4));
  };
  CHECK(test::error_of([&] {
          call(6, {0, 5, 0});
        }) == "rms_norm_delta: dy is [6, 4], expected [5, 4]");
  CHECK(test::error_of([&] {
          call(5, {0, 3, 7});
        }) == "rms_norm_delta: the end of a pair's full rows is 10, expected at most 9");
}
#endif

}  // namespace
}  // namespace longshadow
