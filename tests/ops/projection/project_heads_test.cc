#include "engine/ops/projection/project_heads.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;
using test::rounded_copy;

const std::vector<double> kFrequencies{1.0, 0.31, 0.02, 1e-4};

// 96 heads of 8 are two tiles of outputs, cut between heads.
constexpr std::size_t kHeads = 96, kHeadDim = 8, kInputs = 40, kRows = 2 * kRowTile;

struct Projection {
  bool rotated;
  bool biased;
};

template <class Type, class Device = typename Type::Device>
struct Problem {
  using T = typename Type::T;
  using P = typename Type::P;
  Problem(Cpu& cpu, Device& device, std::size_t rows = kRows)
      : x(random_matrix<T>(cpu, rows, kInputs, 1)),
        w(random_matrix<T>(cpu, kHeads * kHeadDim, kInputs, 2)),
        bias(random_matrix<T>(cpu, 1, kHeads * kHeadDim, 3)),
        table(make_rotary_table(device, element_of<T>(), kFrequencies, 3000)),
        factor_x(rounded_copy<P>(cpu, x)),
        weights(test::packed(device, rounded_copy<P>(cpu, w), kHeadDim * 2)) {
    for (std::uint32_t r = 0; r < rows; ++r) positions.push_back((r * 1237) % 3000);
  }

  template <class Q>
  void run(Device& device, const Projection& projection, Matrix<Q>& to) const {
    test::run_on(device, [&](auto& at) {
      const MatrixView<const T> shift = projection.biased ? at.in(bias) : MatrixView<const T>{};
      const HeadRows<Q> heads = as_heads(at.out(to), kHeads);
      if (projection.rotated) {
        project_rotated_heads(device, at.in(factor_x), weights, shift, table,
                              std::span<const std::uint32_t>(positions), heads);
      } else {
        project_heads(device, at.in(factor_x), weights, shift, heads);
      }
    });
  }

  Matrix<T> x, w, bias;
  RotaryTable table;
  Matrix<P> factor_x;
  PackedWeights weights;
  std::vector<std::uint32_t> positions;
};

TEMPLATE_TEST_CASE("heads are products of the rows, shifted, rotated and apart", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const std::size_t n_rows = GENERATE(kRows, kFewRows);
  const Problem<TestType> problem(cpu, on.device, n_rows);
  const Projection projection{GENERATE(false, true), GENERATE(false, true)};
  CAPTURE(n_rows, projection.rotated, projection.biased);
  constexpr std::size_t slack = 3;
  Matrix<T> apart(cpu.memory(), kHeads * (n_rows + slack), kHeadDim);
  std::fill_n(apart.data(), kHeads * (n_rows + slack) * kHeadDim, T{-7});
  problem.run(on.device, projection, apart);

  // The sum's own error, the two factors' roundings, and four more: bias and rotation. A rotated
  // element takes from two sums.
  const double relative = (kInputs + 4) * twin::unit_roundoff<T> + 2 * test::kFactorRoundoff<P>;
  for (std::size_t r = 0; r < n_rows; r += 13) {
    const twin::Row in = twin::row(problem.x.row(r), kInputs);
    for (std::size_t head = 0; head < kHeads; head += 5) {
      twin::Row sums, sizes;
      for (std::size_t i = 0; i < kHeadDim; ++i) {
        const std::size_t output = head * kHeadDim + i;
        const twin::Row factor = twin::row(problem.w.row(output), kInputs);
        const double shift = projection.biased ? double(problem.bias.data()[output]) : 0;
        sums.push_back(twin::dot(in, factor) + shift);
        sizes.push_back(twin::magnitude(in, factor) + std::abs(shift));
      }
      const twin::Row expected =
          projection.rotated ? twin::rotate(sums, kFrequencies, problem.positions[r]) : sums;
      for (std::size_t i = 0; i < kHeadDim; ++i) {
        const T found = apart.row(head * (n_rows + slack) + r)[i];
        const double size = sizes[i] + (projection.rotated ? sizes[(i + 4) % kHeadDim] : 0);
        CHECK(std::abs(double(found) - expected[i]) <= relative * size);
      }
    }
  }
  for (std::size_t head = 0; head < kHeads; ++head) {
    for (std::size_t i = 0; i < slack * kHeadDim; ++i) {
      CHECK(apart.row(head * (n_rows + slack) + n_rows)[i] == T{-7});
    }
  }
}

TEMPLATE_TEST_CASE("heads for a bf16 product are the f32 heads rounded", "", test::CpuMixedBF16,
                   test::CudaMixedBF16) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const Problem<TestType> problem(cpu, on.device);
  const Projection projection{GENERATE(false, true), false};
  Matrix<float> exact(cpu.memory(), kHeads * kRows, kHeadDim);
  Matrix<BF16> found(cpu.memory(), kHeads * kRows, kHeadDim);
  problem.run(on.device, projection, exact);
  problem.run(on.device, projection, found);
  for (std::size_t i = 0; i < kHeads * kRows * kHeadDim; ++i) {
    CHECK(found.data()[i].bits == to_bf16(exact.data()[i]).bits);
  }
}

TEMPLATE_TEST_CASE("heads' bits do not depend on the number of threads", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16) {
  using T = typename TestType::T;
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) {
    const Problem<TestType> problem(cpu, cpu);
    Matrix<T> apart(cpu.memory(), kHeads * kRows, kHeadDim);
    problem.run(cpu, {true, true}, apart);
    return test::elements(apart);
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("project_heads and split_heads refuse shapes that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const PackedWeights weights = test::zero_weights<float>(on.device, 16, 4);
  const RotaryTable table = make_rotary_table(on.device, element_of<float>(), kFrequencies, 10);
  const std::vector<std::uint32_t> positions(16, 10);
  CHECK(test::error_of([&] {
          project_heads(on.device, test::shaped<const float>(16, 4), weights,
                        test::shaped<const float>(1, 16), test::shaped_heads<float>(3, 16, 8));
        }) == "project_heads: to is 3 heads of [16, 8], expected 2 of [16, 8] or more rows");
  CHECK(test::error_of([&] {
          project_heads(on.device, test::shaped<const float>(16, 4), weights,
                        test::shaped<const float>(1, 8), test::shaped_heads<float>(2, 16, 8));
        }) == "project_heads: bias is [1, 8], expected [1, 16]");
  CHECK(test::error_of([&] {
          project_rotated_heads(on.device, test::shaped<const float>(16, 4), weights,
                                test::shaped<const float>(0, 0), table,
                                std::span<const std::uint32_t>(positions),
                                test::shaped_heads<float>(2, 16, 8));
        }) == "project_rotated_heads: positions[0] is 10, expected at least 0 and below 10");
  CHECK(test::error_of([&] {
          split_heads(test::shaped<const float>(16, 15), test::shaped_heads<float>(2, 16, 8));
        }) == "split_heads: x.cols is 15, expected 16");
}
#endif

}  // namespace
}  // namespace longshadow
