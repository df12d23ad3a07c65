#include "engine/ops/common/rows.h"

#include <catch2/catch.hpp>

#include "engine/ops/common/rounding.h"
#include "engine/ops/projection/heads.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::elements;
using test::random_matrix;

TEMPLATE_TEST_CASE("gather, copy, subtract, add, scale and fill", "", test::CpuF32, test::CpuF64,
                   test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const Matrix<T> table = random_matrix<T>(cpu, 10, 5, 1);
  const std::vector<std::int32_t> ids{9, 0, 3, 3};
  Matrix<T> to(cpu.memory(), 6, 5);
  test::run_on(on.device, [&](auto& at) {
    gather_rows(on.device, at.in(table), std::span<const std::int32_t>(ids), at.out(to));
  });
  for (std::size_t r = 0; r < ids.size(); ++r) {
    CHECK(elements(to, r, 1) == elements(table, ids[r], 1));
  }
  CHECK(elements(to, 4, 2) == std::vector<T>(10));  // beyond the ids nothing is written

  Matrix<T> copy(cpu.memory(), 12, 5);
  test::run_on(on.device, [&](auto& at) {
    copy_rows(on.device, at.in(table), at.out(copy).row_range(1, 10));
  });
  CHECK(elements(copy, 1, 10) == elements(table));
  CHECK(elements(copy, 11, 1) == std::vector<T>(5));

  const Matrix<T> other = random_matrix<T>(cpu, 10, 5, 2);
  const MatrixView<T> changed = copy.view().row_range(1, 10);
  test::run_on(on.device, [&](auto& at) {
    subtract_rows(on.device, at.in(other), at.out(copy).row_range(1, 10));
  });
  for (std::size_t r = 0; r < 10; ++r) {
    for (std::size_t c = 0; c < 5; ++c) {
      CHECK(changed.row(r)[c] == table.row(r)[c] - other.row(r)[c]);
    }
  }

  Matrix<T> sum(cpu.memory(), 10, 5);
  test::run_on(on.device, [&](auto& at) { add_rows(on.device, at.in(table), at.out(sum)); });
  CHECK(elements(sum) == elements(table));
  test::run_on(on.device, [&](auto& at) { add_rows(on.device, at.in(other), at.out(sum)); });
  for (std::size_t r = 0; r < 10; ++r) {
    for (std::size_t c = 0; c < 5; ++c) {
      CHECK(sum.row(r)[c] == table.row(r)[c] + other.row(r)[c]);
    }
  }

  test::run_on(on.device, [&](auto& at) {
    scale_rows(on.device, std::sqrt(48.0), at.out(sum).row_range(1, 5));
  });
  const T factor = static_cast<T>(std::sqrt(48.0));
  for (std::size_t r = 0; r < 10; ++r) {
    for (std::size_t c = 0; c < 5; ++c) {
      const T plain = table.row(r)[c] + other.row(r)[c];
      CHECK(sum.row(r)[c] == (r >= 1 && r < 6 ? plain * factor : plain));
    }
  }

  test::run_on(on.device, [&](auto& at) {
    fill_rows(on.device, T{3}, at.out(copy).row_range(2, 4).column_range(1, 3));
  });
  for (std::size_t r = 1; r < 12; ++r) {
    for (std::size_t c = 0; c < 5; ++c) {
      CHECK((copy.row(r)[c] == T{3}) == (r >= 2 && r < 6 && c >= 1 && c < 4));
    }
  }
}

// Computed in f64 whatever T, and stored as f32: half an ulp of 2, and the sums' own error.
TEMPLATE_TEST_CASE("cosine distances", "", test::CpuF32, test::CpuF64, test::CudaF32,
                   test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  constexpr std::size_t rows = 30, cols = 50;
  Matrix<T> a = random_matrix<T>(cpu, rows, cols, 1);
  const Matrix<T> b = random_matrix<T>(cpu, rows, cols, 2, 100);
  for (std::size_t c = 0; c < cols; ++c) {
    a.row(0)[c] = b.row(0)[c] / 4;
    a.row(1)[c] = -b.row(1)[c] / 4;
  }
  std::vector<float> distances(rows);
  test::run_on(on.device, [&](auto& at) {
    cosine_distances(on.device, at.in(a), at.in(b), std::span(distances));
  });
  for (std::size_t r = 0; r < rows; ++r) {
    const twin::Row x = twin::row(a.row(r), cols), y = twin::row(b.row(r), cols);
    const double expected = 1 - twin::dot(x, y) / std::sqrt(twin::dot(x, x) * twin::dot(y, y));
    CHECK(std::abs(double(distances[r]) - expected) <=
          twin::unit_roundoff<float> * std::abs(expected) + 3 * cols * 0x1p-53);
  }
  CHECK(distances[0] == Approx(0).margin(1e-14));
  CHECK(distances[1] == Approx(2));
}

TEMPLATE_TEST_CASE("heads are split and copied", "", test::CpuF32, test::CpuF64, test::CudaF32,
                   test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  constexpr std::size_t heads = 3, d = 4;
  const Matrix<T> x = random_matrix<T>(cpu, 5, heads * d, 1);
  Matrix<T> apart(cpu.memory(), heads * 8, d);
  split_heads(std::as_const(x).view(), as_heads(apart.view(), heads));
  Matrix<T> cache(cpu.memory(), heads * 20, d);
  std::fill_n(cache.data(), heads * 20 * d, T{-7});
  test::run_on(on.device, [&](auto& at) {
    copy_head_rows(on.device, as_heads(at.in(apart), heads), 5, as_heads(at.out(cache), heads), 11);
  });
  for (std::size_t head = 0; head < heads; ++head) {
    for (std::size_t r = 0; r < 20; ++r) {
      for (std::size_t i = 0; i < d; ++i) {
        const bool written = r >= 11 && r < 16;
        CHECK(cache.row(head * 20 + r)[i] == (written ? x.row(r - 11)[head * d + i] : T{-7}));
      }
    }
  }
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("operations on rows refuse shapes that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const std::vector<std::int32_t> ids{9, -1};
  std::vector<float> distances(5);
  CHECK(test::error_of([&] {
          gather_rows(on.device, test::shaped<const float>(10, 4), std::span(ids),
                      test::shaped<float>(2, 4));
        }) == "gather_rows: ids[1] is -1, expected at least 0 and below 10");
  CHECK(test::error_of([&] {
          gather_rows(on.device, test::shaped<const float>(10, 4), std::span(ids).first(1),
                      test::shaped<float>(0, 4));
        }) == "gather_rows: to is [0, 4], expected [1, 4] or more rows");
  CHECK(test::error_of([&] {
          copy_rows(on.device, test::shaped<const float>(3, 4), test::shaped<float>(4, 4));
        }) == "copy_rows: to is [4, 4], expected [3, 4]");
  CHECK(test::error_of([&] {
          add_rows(on.device, test::shaped<const float>(4, 3), test::shaped<float>(4, 4));
        }) == "add_rows: b is [4, 3], expected [4, 4]");
  CHECK(test::error_of([&] {
          subtract_rows(on.device, test::shaped<const float>(3, 4), test::shaped<float>(4, 4));
        }) == "subtract_rows: b is [3, 4], expected [4, 4]");
  CHECK(test::error_of([&] {
          cosine_distances(on.device, test::shaped<const float>(5, 4),
                           test::shaped<const float>(4, 4), std::span(distances));
        }) == "cosine_distances: b is [4, 4], expected [5, 4] or more rows");
  CHECK(test::error_of([&] {
          round_rows(on.device, test::shaped<const float>(3, 4), test::shaped<BF16>(3, 5));
        }) == "round_rows: to is [3, 5], expected [3, 4]");
  CHECK(test::error_of([&] {
          copy_head_rows(on.device, test::shaped_heads<const float>(2, 9, 4), 5,
                         test::shaped_heads<float>(2, 9, 4), 6);
        }) == "copy_head_rows: first + count is 11, expected at most 9");
  CHECK(test::error_of([&] {
          copy_head_rows(on.device, test::shaped_heads<const float>(3, 9, 4), 5,
                         test::shaped_heads<float>(2, 9, 4), 0);
        }) == "copy_head_rows: from is 3 heads of [9, 4], expected 2 of [5, 4] or more rows");
  CHECK(test::error_of([&] {
          copy_to_host(on.device, test::shaped<const float>(3, 4), test::shaped<float>(4, 3));
        }) == "copy_to_host: host is [4, 3], expected [3, 4]");
}
#endif

}  // namespace
}  // namespace longshadow
