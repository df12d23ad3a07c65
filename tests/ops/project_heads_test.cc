#include "engine/ops/project_heads.h"

#include <catch2/catch.hpp>

#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::F32;
using test::F64;
using test::MixedBF16;
using test::random_matrix;
using test::rounded_copy;

const std::vector<double> kFrequencies{1.0, 0.31, 0.02, 1e-4};

// 96 heads of 8 are two tiles of outputs, cut between heads.
constexpr std::size_t kHeads = 96, kHeadDim = 8, kInputs = 40, kRows = 2 * kRowTile;

struct Projection {
  bool rotated;
  bool biased;
};

template <class Type>
struct Problem {
  using T = typename Type::T;
  using P = typename Type::P;
  explicit Problem(Cpu& cpu, std::size_t rows = kRows)
      : x(random_matrix<T>(cpu, rows, kInputs, 1)),
        w(random_matrix<T>(cpu, kHeads * kHeadDim, kInputs, 2)),
        bias(random_matrix<T>(cpu, 1, kHeads * kHeadDim, 3)),
        table(make_rotary_table<Cpu, T>(cpu, kFrequencies, 3000)),
        factor_x(rounded_copy<P>(cpu, x)),
        rounded_w(rounded_copy<P>(cpu, w)),
        weights(cpu, std::as_const(rounded_w).view()) {
    for (std::uint32_t r = 0; r < rows; ++r) positions.push_back((r * 1237) % 3000);
  }

  template <class Q>
  void run(Cpu& cpu, const Projection& projection, HeadRows<Q> to) const {
    const MatrixView<const T> shift = projection.biased ? bias.view() : MatrixView<const T>{};
    if (projection.rotated) {
      project_rotated_heads(cpu, factor_x.view(), weights, shift, table, std::span(positions), to);
    } else {
      project_heads(cpu, factor_x.view(), weights, shift, to);
    }
  }

  Matrix<T> x, w, bias;
  RotaryTable<T> table;
  Matrix<P> factor_x, rounded_w;
  PackedWeights<P> weights;
  std::vector<std::uint32_t> positions;
};

TEMPLATE_TEST_CASE("heads are products of the rows, shifted, rotated and apart", "", F32, F64,
                   MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const std::size_t n_rows = GENERATE(kRows, kFewRows);
  const Problem<TestType> problem(cpu, n_rows);
  const Projection projection{GENERATE(false, true), GENERATE(false, true)};
  CAPTURE(n_rows, projection.rotated, projection.biased);
  constexpr std::size_t slack = 3;
  Matrix<T> apart(cpu.memory(), kHeads * (n_rows + slack), kHeadDim);
  std::fill_n(apart.data(), kHeads * (n_rows + slack) * kHeadDim, T{-7});
  problem.run(cpu, projection, as_heads(apart.view(), kHeads));

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

TEST_CASE("heads for a bf16 product are the f32 heads rounded") {
  Cpu cpu(2);
  const Problem<MixedBF16> problem(cpu);
  const Projection projection{GENERATE(false, true), false};
  Matrix<float> exact(cpu.memory(), kHeads * kRows, kHeadDim);
  Matrix<BF16> found(cpu.memory(), kHeads * kRows, kHeadDim);
  problem.run(cpu, projection, as_heads(exact.view(), kHeads));
  problem.run(cpu, projection, as_heads(found.view(), kHeads));
  for (std::size_t i = 0; i < kHeads * kRows * kHeadDim; ++i) {
    CHECK(found.data()[i].bits == to_bf16(exact.data()[i]).bits);
  }
}

TEMPLATE_TEST_CASE("heads' bits do not depend on the number of threads", "", F32, F64, MixedBF16) {
  using T = typename TestType::T;
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) {
    const Problem<TestType> problem(cpu);
    Matrix<T> apart(cpu.memory(), kHeads * kRows, kHeadDim);
    problem.run(cpu, {true, true}, as_heads(apart.view(), kHeads));
    return test::elements(apart);
  }));
}

}  // namespace
}  // namespace longshadow
