#include "engine/ops/experts/weighted_rows.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::random_matrix;

constexpr std::size_t kRows = 37, kChosen = 3, kTable = 90;

/// Ids of the table's rows, some of them of none.
std::vector<std::int32_t> some_ids() {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < kRows * kChosen; ++i) {
    ids.push_back(i % 5 == 2 ? -1 : static_cast<std::int32_t>(i * 29 % kTable));
  }
  return ids;
}

// Four terms of size 1 and less: a rounding for each product and each sum, half an ulp of 4 at
// most.
TEMPLATE_TEST_CASE("weighted rows are added", "", test::CpuF32, test::CpuF64, test::CudaF32,
                   test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  for (const std::size_t cols : {std::size_t{1}, std::size_t{70}}) {
    const Matrix<T> from = random_matrix<T>(cpu, kTable, cols, 1);
    const Matrix<T> before = random_matrix<T>(cpu, kRows, cols, 2);
    const std::vector<std::int32_t> ids = some_ids();
    std::vector<double> weights;
    for (std::size_t i = 0; i < ids.size(); ++i) weights.push_back(0.1 + 0.007 * double(i));
    Matrix<T> to = random_matrix<T>(cpu, kRows, cols, 2);
    test::run_on(on.device, [&](auto& at) {
      add_weighted_rows(on.device, at.in(from), ids, weights, at.out(to));
    });
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) {
        double expected = before.row(r)[c], size = std::abs(expected);
        for (std::size_t i = r * kChosen; i < (r + 1) * kChosen; ++i) {
          if (ids[i] < 0) continue;
          const double term = weights[i] * double(from.row(std::size_t(ids[i]))[c]);
          expected += term;
          size += std::abs(term);
        }
        const double rounding = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
        CHECK(std::abs(double(to.row(r)[c]) - expected) <= 3 * (kChosen + 1) * rounding * size);
      }
    }
  }
}

// Sums in f64: of 70 products, each of which rounds once and is added with one rounding.
TEMPLATE_TEST_CASE("rows are multiplied with the rows that ids name", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const Matrix<T> a = random_matrix<T>(cpu, kRows, 70, 1);
  const Matrix<T> b = random_matrix<T>(cpu, kTable, 70, 2);
  const std::vector<std::int32_t> ids = some_ids();
  std::vector<double> dots(ids.size(), 7.0);
  test::run_on(on.device, [&](auto& at) { dot_rows(on.device, at.in(a), at.in(b), ids, dots); });
  for (std::size_t i = 0; i < ids.size(); ++i) {
    double expected = 0, size = 0;
    for (std::size_t c = 0; ids[i] >= 0 && c < 70; ++c) {
      const double term = double(a.row(i / kChosen)[c]) * double(b.row(std::size_t(ids[i]))[c]);
      expected += term;
      size += std::abs(term);
    }
    CAPTURE(i);
    CHECK(std::abs(dots[i] - expected) <= 71 * 0x1p-53 * size);
  }
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("weighted rows refuse ids and weights that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const std::vector<std::int32_t> ids{0, -1, 3, 4}, beyond{0, 5, 0, 0};
  std::vector<double> numbers(4), few(3);
  const auto from = test::shaped<const float>(5, 3);
  const auto to = test::shaped<float>(2, 3);
  CHECK(test::error_of([&] { add_weighted_rows(on.device, from, ids, few, to); }) ==
        "add_weighted_rows: weights.size() is 3, expected 4");
  CHECK(test::error_of([&] { add_weighted_rows(on.device, from, beyond, numbers, to); }) ==
        "add_weighted_rows: ids[1] is 5, expected -1 or at least 0 and below 5");
  CHECK(test::error_of([&] {
          dot_rows(on.device, test::shaped<const float>(3, 3), from, ids, numbers);
        }) == "dot_rows: ids.size() is 4, expected a multiple of 3");
}
#endif

}  // namespace
}  // namespace longshadow
