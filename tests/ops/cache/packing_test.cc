#include "engine/ops/cache/packing.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/larger.h"
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

TEMPLATE_TEST_CASE("packed rows come back within half a scale of their group", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
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
  const Quantization quantization{bits, group};
  const PackedShape shape(rows, cols, axis, quantization);
  Matrix<std::uint8_t> elements(cpu.memory(), rows, shape.bytes_of_row);
  Matrix<PackedGroup> groups(cpu.memory(), shape.group_rows, shape.group_cols);
  std::fill_n(elements.data(), elements.bytes(), std::uint8_t{0xff});  // what is there is no matter
  test::run_on(on.device, [&](auto& at) {
    pack_rows(on.device, at.in(values), axis, quantization, at.out(elements), at.out(groups));
  });
  Matrix<T> back(cpu.memory(), rows, cols);
  test::run_on(on.device, [&](auto& at) {
    unpack_rows(on.device, at.in(elements), at.in(groups), axis, quantization, at.out(back));
  });
  double worst = 0;  // of the errors over half a scale
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) {
      const GroupRange of = group_of(r, c, rows, cols, axis, group);
      double lowest = values.row(r)[c];
      double highest = lowest;
      for (std::size_t i = of.row_begin; i < of.row_end; ++i) {
        for (std::size_t j = of.col_begin; j < of.col_end; ++j) {
          lowest = test::smaller(lowest, double(values.row(i)[j]));
          highest = test::larger(highest, double(values.row(i)[j]));
        }
      }
      const double error = std::abs(double(back.row(r)[c]) - double(values.row(r)[c]));
      const double bound = error_bound(lowest, highest, bits);
      CHECK(error <= bound);
      worst = test::larger(worst, error / bound);
    }
  }
  if (rows * cols > 1000) CHECK(worst > 0.9);  // as coarse as it says
}

// A fused multiplication and addition, which nvcc makes of the two in f32, would round once where
// the processor rounds twice: the caches would differ by 2^-24, and influences by more.
TEMPLATE_TEST_CASE("packed rows come back with the same bits on every device", "[host_cuda]", float,
                   double) {
  using T = TestType;
  const test::InThreadOrder order(GENERATE(from_range(test::kThreadOrders)));
  Cpu cpu(1);
  Cuda cuda;
  constexpr std::size_t rows = 70, cols = 96;
  const Quantization quantization{GENERATE(as<std::size_t>(), 8, 4), 32};
  const GroupAxis axis = GENERATE(GroupAxis::rows, GroupAxis::columns);
  const PackedShape shape(rows, cols, axis, quantization);
  const Matrix<T> values = random_matrix<T>(cpu, rows, cols, 1);
  const auto back_from = [&](auto& device) {
    Matrix<std::uint8_t> elements(cpu.memory(), rows, shape.bytes_of_row);
    Matrix<PackedGroup> groups(cpu.memory(), shape.group_rows, shape.group_cols);
    Matrix<T> back(cpu.memory(), rows, cols);
    test::run_on(device, [&](auto& at) {
      const auto packed = at.out(elements);
      const auto of = at.out(groups);
      pack_rows(device, at.in(values), axis, quantization, packed, of);
      unpack_rows(device, MatrixView<const std::uint8_t>(packed), MatrixView<const PackedGroup>(of),
                  axis, quantization, at.out(back));
    });
    return test::elements(back);
  };
  CHECK(test::same_bits(back_from(cuda), back_from(cpu)));
}

TEMPLATE_TEST_CASE("what is equal in a group, and its ends, come back exactly", "", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const std::vector<float> values{3.25F, 3.25F, 3.25F, -1, 0, 254};
  Matrix<float> rows(cpu.memory(), 2, 3), back(cpu.memory(), 2, 3);
  std::copy(values.begin(), values.end(), rows.data());
  Matrix<std::uint8_t> elements(cpu.memory(), 2, 3);
  Matrix<PackedGroup> groups(cpu.memory(), 2, 1);
  test::run_on(on.device, [&](auto& at) {
    const auto packed = at.out(elements);
    const auto of = at.out(groups);
    pack_rows(on.device, at.in(rows), GroupAxis::columns, {8, 32}, packed, of);
    unpack_rows(on.device, MatrixView<const std::uint8_t>(packed),
                MatrixView<const PackedGroup>(of), GroupAxis::columns, {8, 32}, at.out(back));
  });
  CHECK(test::elements(back) == values);
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("packing refuses shapes that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  CHECK(test::error_of([&] {
          pack_rows(on.device, test::shaped<const float>(70, 5), GroupAxis::rows, {4, 32},
                    test::shaped<std::uint8_t>(70, 2), test::shaped<PackedGroup>(3, 5));
        }) == "pack_rows: elements is [70, 2], expected [70, 3]");
  CHECK(test::error_of([&] {
          unpack_rows(on.device, test::shaped<const std::uint8_t>(70, 3),
                      test::shaped<const PackedGroup>(2, 5), GroupAxis::rows, {4, 32},
                      test::shaped<float>(70, 5));
        }) == "unpack_rows: groups is [2, 5], expected [3, 5]");
  CHECK(test::error_of([&] {
          pack_rows(on.device, test::shaped<const float>(70, 5), GroupAxis::rows, {3, 32},
                    test::shaped<std::uint8_t>(70, 2), test::shaped<PackedGroup>(3, 5));
        }) == "pack_rows: quantization.bits is 3, expected a divisor of 8");
}
#endif

}  // namespace
}  // namespace longshadow
