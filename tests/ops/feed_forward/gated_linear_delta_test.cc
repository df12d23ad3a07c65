#include "engine/ops/feed_forward/gated_linear_delta.h"

#include <catch2/catch.hpp>

#include "engine/ops/feed_forward/gate_delta.h"
#include "engine/ops/projection/linear.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/gate_delta.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

using test::random_matrix;
using test::rounded_copy;

// 600 outputs are two tiles; the second stream begins inside a row tile and ends in the next.
constexpr std::size_t kInputs = 40, kOutputs = 600, kRows = 2 * kRowTile;
const std::vector<PairedRows> kPairs{{0, 100, 30}, {100, 90, 0}};

template <class Type>
struct Problem {
  using T = typename Type::T;
  using P = typename Type::P;
  using Device = typename Type::Device;

  Problem(Cpu& cpu, Device& device)
      : gate(random_matrix<T>(cpu, 140, kOutputs, 1, 5)),
        up(random_matrix<T>(cpu, 140, kOutputs, 2)),
        dx(rounded_copy<P>(cpu, random_matrix<T>(cpu, kRows, kInputs, 3, 0.1))),
        gate_weights(random_weights(cpu, device, 4)),
        up_weights(random_weights(cpu, device, 5)) {}

  static PackedWeights random_weights(Cpu& cpu, Device& device, unsigned seed) {
    return test::packed(device,
                        rounded_copy<P>(cpu, random_matrix<T>(cpu, kOutputs, kInputs, seed)));
  }

  Matrix<P> run(Cpu& cpu, Device& device, Activation activation) const {
    Matrix<P> out(cpu.memory(), kRows, kOutputs);
    test::run_on(device, [&](auto& at) {
      gated_linear_delta(
          device, at.in(dx),
          GatedLinearView{activation, gate_weights, up_weights, at.in(gate), at.in(up)},
          std::span(kPairs), at.out(out));
    });
    return out;
  }

  Matrix<T> gate, up;
  Matrix<P> dx;
  PackedWeights gate_weights, up_weights;
};

// The products are linear()'s to the bit, and each row goes through the gate of its own full row.
TEMPLATE_TEST_CASE("gated_linear_delta is gate_delta of two products", "", test::CpuF32,
                   test::CpuF64, test::CpuMixedBF16, test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const Problem<TestType> problem(cpu, on.device);
  const Activation activation = GENERATE(Activation::silu, Activation::gelu_tanh);
  const Matrix<P> found = problem.run(cpu, on.device, activation);
  Matrix<T> dgate(cpu.memory(), kRows, kOutputs), dup(cpu.memory(), kRows, kOutputs);
  test::run_on(on.device, [&](auto& at) {
    linear(on.device, at.in(problem.dx), problem.gate_weights, at.out(dgate));
    linear(on.device, at.in(problem.dx), problem.up_weights, at.out(dup));
  });
  for (const PairedRows& pair : kPairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) {
      const std::size_t row = pair.first_row + r, full_row = pair.full_row + r;
      CAPTURE(row);
      for (std::size_t c = 0; c < kOutputs; ++c) {
        const auto [expected, bound] =
            test::gate_delta(activation, problem.gate.row(full_row)[c], problem.up.row(full_row)[c],
                             dgate.row(row)[c], dup.row(row)[c]);
        const auto value = static_cast<long double>(widened<T>(found.row(row)[c]));
        REQUIRE(std::abs(value - expected) <=
                bound + test::kFactorRoundoff<P> * std::abs(expected));
      }
    }
  }
  CHECK(test::same_bits(test::elements(found, 190, kRows - 190),
                        test::elements(Matrix<P>(cpu.memory(), kRows - 190, kOutputs))));
}

// The processor's tiles give the same bits as the whole row does.
TEMPLATE_TEST_CASE("gated_linear_delta has the bits of gate_delta", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  Cpu cpu(2);
  const Problem<TestType> problem(cpu, cpu);
  const Activation activation = GENERATE(Activation::silu, Activation::gelu_tanh);
  const Matrix<P> found = problem.run(cpu, cpu, activation);
  Matrix<T> dgate(cpu.memory(), kRows, kOutputs), dup(cpu.memory(), kRows, kOutputs);
  linear(cpu, problem.dx.view(), problem.gate_weights, dgate.view());
  linear(cpu, problem.dx.view(), problem.up_weights, dup.view());
  for (const PairedRows& pair : kPairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) {
      const std::size_t row = pair.first_row + r, full_row = pair.full_row + r;
      Matrix<P> expected(cpu.memory(), 1, kOutputs);
      gate_delta(activation, problem.gate.row(full_row), problem.up.row(full_row), dgate.row(row),
                 dup.row(row), kOutputs, expected.data());
      CAPTURE(row);
      CHECK(test::same_bits(test::elements(found, row, 1), test::elements(expected)));
    }
  }
}

TEMPLATE_TEST_CASE("gated_linear_delta's bits do not depend on the number of threads", "",
                   test::CpuF32, test::CpuF64, test::CpuMixedBF16) {
  CHECK(test::same_bits_for_any_threads([](Cpu& cpu) {
    return test::elements(Problem<TestType>(cpu, cpu).run(cpu, cpu, Activation::silu));
  }));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("gated_linear_delta refuses shapes and rows that do not fit", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const PackedWeights gate = test::zero_weights<float>(on.device, 7, 4);
  const PackedWeights up = test::zero_weights<float>(on.device, 7, 4);
  const auto call = [&](std::size_t rows, const std::vector<PairedRows>& pairs) {
    const auto full = test::shaped<const float>(9, 7);
    gated_linear_delta(on.device, test::shaped<const float>(rows, 4),
                       GatedLinearView{Activation::silu, gate, up, full, full}, std::span(pairs),
                       test::shaped<float>(rows, 7));
  };
  CHECK(test::error_of([&] {
          call(100, {{0, 9, 0}});
        }) == "gated_linear_delta: dx.rows is 100, expected a multiple of 128");
  CHECK(test::error_of([&] {
          call(kRowTile, {{0, 9, 1}});
        }) == "gated_linear_delta: the end of a pair's full rows is 10, expected at most 9");
  CHECK(test::error_of([&] {
          call(kRowTile, {{0, 9, 0}, {8, 9, 0}});
        }) == "gated_linear_delta: a pair's first_row is 8, expected at least 9");
}
#endif

}  // namespace
}  // namespace longshadow
