#include "engine/ops/projection/rotary.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

const std::vector<double> kFrequencies{1.0, 0.31, 0.01, 1e-4};

// sin and cos round once each, in f64 or to T; two products and a sum round three times.
TEMPLATE_TEST_CASE("each head's halves are rotated by the row's position", "", float, double) {
  using T = TestType;
  Cpu cpu(2);
  constexpr std::size_t heads = 3, d = 8, rows = 20, slack = 7;
  const RotaryTable table = make_rotary_table(cpu, element_of<T>(), kFrequencies, 5000);
  const Matrix<T> x = random_matrix<T>(cpu, rows, heads * d, 1);
  std::vector<std::uint32_t> positions;
  for (std::uint32_t r = 0; r < rows; ++r) positions.push_back((r * 1237) % 5000);
  Matrix<T> apart(cpu.memory(), heads * (rows + slack), d);
  std::fill_n(apart.data(), heads * (rows + slack) * d, T{-7});
  rotate_heads(RotaryView(table).as<T>(), positions, x.view(), as_heads(apart.view(), heads));

  for (std::size_t head = 0; head < heads; ++head) {
    for (std::size_t r = 0; r < rows; ++r) {
      const twin::Row in = twin::row(x.row(r) + head * d, d);
      const twin::Row expected = twin::rotate(in, kFrequencies, positions[r]);
      for (std::size_t i = 0; i < d; ++i) {
        const double size = std::abs(in[i % 4]) + std::abs(in[i % 4 + 4]);
        const T found = apart.row(head * (rows + slack) + r)[i];
        CHECK(std::abs(double(found) - expected[i]) <= 4 * twin::unit_roundoff<T> * size);
      }
    }
    for (std::size_t i = 0; i < slack * d; ++i) {
      CHECK(apart.row(head * (rows + slack) + rows)[i] == T{-7});
    }
  }
}

// The transpose, as gradients need it: (rotated x).y is x.(y rotated back). Each side takes the
// roundings above on each of its products, and that to bf16.
TEMPLATE_TEST_CASE("rotating back is the transpose", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  constexpr std::size_t heads = 3, d = 8, rows = 20;
  const RotaryTable table = make_rotary_table(on.device, element_of<T>(), kFrequencies, 5000);
  const Matrix<T> x = random_matrix<T>(cpu, rows, heads * d, 1);
  const Matrix<T> y = random_matrix<T>(cpu, rows, heads * d, 2);
  Matrix<P> rounded_back(cpu.memory(), rows, heads * d);
  std::vector<std::uint32_t> positions;
  for (std::uint32_t r = 0; r < rows; ++r) positions.push_back((r * 1237) % 5000);
  test::run_on(on.device, [&](auto& at) {
    rotate_rows(on.device, table, Turn::back, positions, at.in(y), at.out(rounded_back));
  });
  const Matrix<T> back = test::widened_copy<T>(cpu, rounded_back);
  for (std::size_t r = 0; r < rows; ++r) {
    double forward = 0, backward = 0, size = 0;
    for (std::size_t head = 0; head < heads; ++head) {
      const twin::Row of_x = twin::row(x.row(r) + head * d, d);
      const twin::Row of_y = twin::row(y.row(r) + head * d, d);
      forward += twin::dot(twin::rotate(of_x, kFrequencies, positions[r]), of_y);
      backward += twin::dot(of_x, twin::row(back.row(r) + head * d, d));
      for (const double value : of_x) size += std::abs(value) * std::sqrt(twin::dot(of_y, of_y));
    }
    CHECK(std::abs(forward - backward) <=
          (8 * twin::unit_roundoff<T> + test::kFactorRoundoff<P>)*size);
  }
}

// Two products and a sum, and the table's own rounding.
TEMPLATE_TEST_CASE("rows are rotated by their positions, in place too", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  constexpr std::size_t heads = 3, d = 8, rows = 20;
  const RotaryTable table = make_rotary_table(on.device, element_of<T>(), kFrequencies, 5000);
  const Matrix<T> x = random_matrix<T>(cpu, rows, heads * d, 1);
  Matrix<T> apart(cpu.memory(), rows, heads * d), in_place(cpu.memory(), rows, heads * d);
  std::copy_n(x.data(), rows * heads * d, in_place.data());
  std::vector<std::uint32_t> positions;
  for (std::uint32_t r = 0; r < rows; ++r) positions.push_back((r * 1237) % 5000);
  test::run_on(on.device, [&](auto& at) {
    rotate_rows(on.device, table, Turn::forward, positions, at.in(x), at.out(apart));
    const auto there = at.out(in_place);
    rotate_rows(on.device, table, Turn::forward, positions, MatrixView<const T>(there), there);
  });
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t head = 0; head < heads; ++head) {
      const twin::Row in = twin::row(x.row(r) + head * d, d);
      const twin::Row expected = twin::rotate(in, kFrequencies, positions[r]);
      for (std::size_t i = 0; i < d; ++i) {
        const double size = std::abs(in[i % 4]) + std::abs(in[i % 4 + 4]);
        CHECK(std::abs(double(apart.row(r)[head * d + i]) - expected[i]) <=
              4 * twin::unit_roundoff<T> * size);
      }
    }
  }
  CHECK(test::elements(in_place) == test::elements(apart));
}

TEMPLATE_TEST_CASE("position 0 changes nothing", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  const RotaryTable table = make_rotary_table(cpu, element_of<T>(), kFrequencies, 1);
  const Matrix<T> x = random_matrix<T>(cpu, 2, 8, 1);
  Matrix<T> out(cpu.memory(), 2, 8);
  rotate_heads(RotaryView(table).as<T>(), std::vector<std::uint32_t>{0, 0}, x.view(),
               as_heads(out.view(), 1));
  CHECK(test::elements(out) == test::elements(x));
}

// Yarn's attention factor.
TEMPLATE_TEST_CASE("a table's scale makes what it rotates longer", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  const RotaryTable table = make_rotary_table(on.device, element_of<T>(), kFrequencies, 100, 1.25);
  const Matrix<T> cos = test::host_copy<T>(on.device, table.cos.view());
  const Matrix<T> sin = test::host_copy<T>(on.device, table.sin.view());
  for (std::size_t p = 0; p < 100; ++p) {
    for (std::size_t i = 0; i < kFrequencies.size(); ++i) {
      const double angle = static_cast<double>(p) * kFrequencies[i];
      // Rounded once to T; a device's cos and sin of a double may be off by two of its ulps.
      const double tolerance = 1.25 * std::max<double>(std::numeric_limits<T>::epsilon(), 4e-16);
      CHECK(std::abs(cos.row(p)[i] - 1.25 * std::cos(angle)) <= tolerance);
      CHECK(std::abs(sin.row(p)[i] - 1.25 * std::sin(angle)) <= tolerance);
    }
  }
}

TEMPLATE_TEST_CASE("a pair of frequency 0 is not rotated and keeps its length", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  const std::vector<double> frequencies{0.0, 0.5};
  const RotaryTable table = make_rotary_table(on.device, element_of<T>(), frequencies, 100, 1.25);
  const Matrix<T> cos = test::host_copy<T>(on.device, table.cos.view());
  const Matrix<T> sin = test::host_copy<T>(on.device, table.sin.view());
  for (std::size_t p = 0; p < 100; ++p) {
    CHECK(cos.row(p)[0] == 1);
    CHECK(sin.row(p)[0] == 0);
  }
  CHECK(cos.row(0)[1] == T{1.25});
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("rotations refuse shapes and positions that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const RotaryTable table = make_rotary_table(on.device, element_of<float>(), kFrequencies, 10);
  const std::vector<std::uint32_t> positions{9, 10};
  const std::span<const std::uint32_t> last(positions);
  CHECK(test::error_of([&] {
          rotate_rows(on.device, table, Turn::back, last, test::shaped<const float>(2, 16),
                      test::shaped<float>(2, 16));
        }) == "rotate_rows: positions[1] is 10, expected at least 0 and below 10");
  CHECK(test::error_of([&] {
          rotate_rows(on.device, table, Turn::back, last.first(1), test::shaped<const float>(1, 12),
                      test::shaped<float>(1, 12));
        }) == "rotate_rows: x.cols is 12, expected a multiple of 8");
  CHECK(test::error_of([&] {
          rotate_heads(RotaryView(table).as<float>(), last, test::shaped<const float>(1, 16),
                       test::shaped_heads<float>(2, 1, 8));
        }) == "rotate_heads: positions.size() is 2, expected 1");
  CHECK(test::error_of([&] {
          rotate_heads(RotaryView(table).as<float>(), last.first(1),
                       test::shaped<const float>(1, 16), test::shaped_heads<float>(1, 1, 8));
        }) == "rotate_heads: to is 1 heads of [1, 8], expected 2 of [1, 8] or more rows");
}
#endif

}  // namespace
}  // namespace longshadow
