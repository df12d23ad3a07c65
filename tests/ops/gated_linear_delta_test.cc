#include "engine/ops/gated_linear_delta.h"

#include <catch2/catch.hpp>

#include "engine/ops/linear.h"
#include "engine/ops/silu_gate_delta.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::F32;
using test::F64;
using test::MixedBF16;
using test::random_matrix;
using test::rounded_copy;

// 600 outputs are two tiles; the second stream begins inside a row tile and ends in the next.
constexpr std::size_t kInputs = 40, kOutputs = 600, kRows = 2 * kRowTile;
const std::vector<PairedRows> kPairs{{0, 100, 30}, {100, 90, 0}};

template <class Type>
struct Problem {
  using T = typename Type::T;
  using P = typename Type::P;

  explicit Problem(Cpu& cpu)
      : gate(random_matrix<T>(cpu, 140, kOutputs, 1, 5)),
        up(random_matrix<T>(cpu, 140, kOutputs, 2)),
        dx(rounded_copy<P>(cpu, random_matrix<T>(cpu, kRows, kInputs, 3, 0.1))),
        gate_weights(random_weights(cpu, 4)),
        up_weights(random_weights(cpu, 5)) {}

  static PackedWeights<P> random_weights(Cpu& cpu, unsigned seed) {
    const Matrix<P> w = rounded_copy<P>(cpu, random_matrix<T>(cpu, kOutputs, kInputs, seed));
    return PackedWeights<P>(cpu, w.view());
  }

  Matrix<P> run(Cpu& cpu) const {
    Matrix<P> out(cpu.memory(), kRows, kOutputs);
    gated_linear_delta(cpu, dx.view(),
                       GatedLinear<T, P>{gate_weights, up_weights, gate.view(), up.view()},
                       std::span(kPairs), out.view());
    return out;
  }

  Matrix<T> gate, up;
  Matrix<P> dx;
  PackedWeights<P> gate_weights, up_weights;
};

// The products are linear()'s to the bit, and each row goes through the gate of its own full row.
TEMPLATE_TEST_CASE("gated_linear_delta is silu_gate_delta of two products", "", F32, F64,
                   MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const Problem<TestType> problem(cpu);
  const Matrix<P> found = problem.run(cpu);
  Matrix<T> dgate(cpu.memory(), kRows, kOutputs), dup(cpu.memory(), kRows, kOutputs);
  linear(cpu, problem.dx.view(), problem.gate_weights, dgate.view());
  linear(cpu, problem.dx.view(), problem.up_weights, dup.view());
  for (const PairedRows& pair : kPairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) {
      const std::size_t row = pair.first_row + r, full_row = pair.full_row + r;
      Matrix<P> expected(cpu.memory(), 1, kOutputs);
      silu_gate_delta(problem.gate.row(full_row), problem.up.row(full_row), dgate.row(row),
                      dup.row(row), kOutputs, expected.data());
      CAPTURE(row);
      CHECK(test::same_bits(test::elements(found, row, 1), test::elements(expected)));
    }
  }
  CHECK(test::same_bits(test::elements(found, 190, kRows - 190),
                        test::elements(Matrix<P>(cpu.memory(), kRows - 190, kOutputs))));
}

TEMPLATE_TEST_CASE("gated_linear_delta's bits do not depend on the number of threads", "", F32, F64,
                   MixedBF16) {
  CHECK(test::same_bits_for_any_threads(
      [](Cpu& cpu) { return test::elements(Problem<TestType>(cpu).run(cpu)); }));
}

}  // namespace
}  // namespace longshadow
