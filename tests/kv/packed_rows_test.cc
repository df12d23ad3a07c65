#include "engine/kv/packed_rows.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/support/error_of.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::random_matrix;

/// The rows and columns of the group that element (r, c) belongs to.
struct GroupRange {
  std::size_t row_begin, row_end, col_begin, col_end;
};

GroupRange group_of(std::size_t r, std::size_t c, std::size_t rows, std::size_t cols,
                    GroupAxis axis, std::size_t group) {
  if (axis == GroupAxis::rows) {
    return {r / group * group, std::min(r / group * group + group, rows), c, c + 1};
  }
  return {r, r + 1, c / group * group, std::min(c / group * group + group, cols)};
}

/// In double precision, from the definition: half a scale. The f32 arithmetic on top: x and the
/// minimum are rounded once (u |x| each, f64 input alone), scale, quotient and product are relative
/// to the range, and the last sum to the result; six roundings of at most u (|x| + range) in all.
double error_bound(double lowest, double highest, std::size_t bits) {
  const double range = highest - lowest;
  const double magnitude = std::max(std::abs(lowest), std::abs(highest));
  const double levels = std::pow(2, bits) - 1;
  return range / levels / 2 + 6 * 0x1p-24 * (magnitude + range);
}

TEMPLATE_TEST_CASE("packed rows come back within half a scale of their group", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  const std::size_t bits = GENERATE(as<std::size_t>(), 8, 4);
  const std::size_t group = GENERATE(as<std::size_t>(), 32, 64);
  const GroupAxis axis = GENERATE(GroupAxis::rows, GroupAxis::columns);
  const auto [rows, cols] = GENERATE(
      std::pair<std::size_t, std::size_t>{1, 16}, std::pair<std::size_t, std::size_t>{64, 64},
      std::pair<std::size_t, std::size_t>{75, 80}, std::pair<std::size_t, std::size_t>{130, 7});
  CAPTURE(bits, group, axis == GroupAxis::rows, rows, cols);
  Matrix<T> values = random_matrix<T>(cpu, rows, cols, 1);
  for (std::size_t r = 0; r < rows; ++r) values.row(r)[0] *= 100;  // an outlying channel
  const PackedRows packed(std::as_const(values).view(), axis, {bits, group});
  Matrix<T> back(cpu.memory(), rows, cols);
  packed.unpack(back.view());
  double worst = 0;  // of the errors over half a scale
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) {
      const GroupRange of = group_of(r, c, rows, cols, axis, group);
      double lowest = values.row(r)[c];
      double highest = lowest;
      for (std::size_t i = of.row_begin; i < of.row_end; ++i) {
        for (std::size_t j = of.col_begin; j < of.col_end; ++j) {
          lowest = std::min(lowest, double(values.row(i)[j]));
          highest = std::max(highest, double(values.row(i)[j]));
        }
      }
      const double error = std::abs(double(back.row(r)[c]) - double(values.row(r)[c]));
      const double bound = error_bound(lowest, highest, bits);
      CHECK(error <= bound);
      worst = std::max(worst, error / bound);
    }
  }
  if (rows * cols > 1000) CHECK(worst > 0.9);  // as coarse as it says
}

TEST_CASE("packed rows take the bytes of their bits, scales and minima") {
  Cpu cpu(1);
  const Matrix<float> values = random_matrix<float>(cpu, 128, 64, 1);
  const auto bytes = [&](GroupAxis axis, const Quantization& quantization) {
    return PackedRows(values.view(), axis, quantization).bytes();
  };
  constexpr std::size_t n = 128 * 64;
  CHECK(bytes(GroupAxis::rows, {8, 64}) == n + n / 64 * 8);
  CHECK(bytes(GroupAxis::columns, {8, 32}) == n + n / 32 * 8);
  CHECK(bytes(GroupAxis::rows, {4, 64}) == n / 2 + n / 64 * 8);
  CHECK(bytes(GroupAxis::columns, {4, 32}) == n / 2 + n / 32 * 8);
}

TEST_CASE("what is equal in a group, and its ends, come back exactly") {
  const std::vector<float> values{3.25F, 3.25F, 3.25F, -1, 0, 254};
  const PackedRows packed(MatrixView<const float>{values.data(), 2, 3, 3}, GroupAxis::columns,
                          {8, 32});
  std::vector<float> back(6);
  packed.unpack(MatrixView<float>{back.data(), 2, 3, 3});
  CHECK(back == values);
}

TEST_CASE("no rows, other bits and other groups") {
  const MatrixView<const float> none{nullptr, 0, 64, 64};
  CHECK(PackedRows(none, GroupAxis::rows, {}).bytes() == 0);
  CHECK_THAT(test::error_of([&] {
               PackedRows(none, GroupAxis::rows, {3, 64});
             }),
             Catch::Contains("8 or 4 bits, found 3"));
  CHECK_THAT(test::error_of([&] {
               PackedRows(none, GroupAxis::rows, {4, 48});
             }),
             Catch::Contains("32 or 64 elements share a scale, found 48"));
}

}  // namespace
}  // namespace longshadow
