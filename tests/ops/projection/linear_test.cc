#include "engine/ops/projection/linear.h"

#include <catch2/catch.hpp>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/precision.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::elements;
using test::F32;
using test::F64;
using test::MixedBF16;
using test::random_matrix;
using test::rounded_copy;

TEMPLATE_TEST_CASE("linear is x times the transpose of W", "", test::CpuF32, test::CpuF64,
                   test::CpuMixedBF16, test::CudaF32, test::CudaF64, test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const std::size_t inputs = GENERATE(as<std::size_t>(), 48, 130);
  const std::size_t outputs = GENERATE(as<std::size_t>(), 3, 700);
  const std::size_t rows = GENERATE(3 * kRowTile, kFewRows);
  CAPTURE(inputs, outputs, rows);
  const Matrix<T> x = random_matrix<T>(cpu, rows, inputs, 1);
  const Matrix<T> w = random_matrix<T>(cpu, outputs, inputs, 2);
  const PackedWeights weights = test::packed(on.device, rounded_copy<P>(cpu, w));
  const Matrix<P> factor_x = rounded_copy<P>(cpu, x);
  const Matrix<T> before = random_matrix<T>(cpu, rows, outputs, 3);
  Matrix<T> replaced = random_matrix<T>(cpu, rows, outputs, 3);
  Matrix<T> added = random_matrix<T>(cpu, rows, outputs, 3);
  test::run_on(on.device, [&](auto& at) {
    linear(on.device, at.in(factor_x), weights, at.out(replaced));
    linear(on.device, at.in(factor_x), weights, at.out(added), Write::add);
  });

  // The sum's own error, and the two factors' roundings.
  const double relative =
      static_cast<double>(inputs) * twin::unit_roundoff<T> + 2 * test::kFactorRoundoff<P>;
  for (std::size_t r = 0; r < rows; r += 7) {
    const twin::Row in = twin::row(x.row(r), inputs);
    for (std::size_t o = 0; o < outputs; ++o) {
      const twin::Row factor = twin::row(w.row(o), inputs);
      const double expected = twin::dot(in, factor);
      const double bound = relative * twin::magnitude(in, factor);
      CHECK(std::abs(double(replaced.row(r)[o]) - expected) <= bound);
      const double total = expected + double(before.row(r)[o]);
      CHECK(std::abs(double(added.row(r)[o]) - total) <=
            bound + twin::unit_roundoff<T> * (std::abs(total) + bound));
    }
  }
}

// As gradients pass through the weights of a CUDA device.
TEMPLATE_TEST_CASE("linear with transposed weights is x times W", "", test::CudaF32, test::CudaF64,
                   test::CudaMixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  test::UnderTest<Cuda> on;
  Cpu cpu(1);
  constexpr std::size_t rows = kFewRows, inputs = 40, outputs = 21;
  const Matrix<T> x = random_matrix<T>(cpu, rows, inputs, 1);
  const Matrix<T> w = random_matrix<T>(cpu, inputs, outputs, 2);
  const Matrix<P> factor_x = rounded_copy<P>(cpu, x);
  const PackedWeights plain = test::packed(on.device, rounded_copy<P>(cpu, w));
  const PackedWeights weights = plain.transposed();
  REQUIRE(weights.inputs() == inputs);
  REQUIRE(weights.outputs() == outputs);
  Matrix<T> y(cpu.memory(), rows, outputs);
  test::run_on(on.device,
               [&](auto& at) { linear(on.device, at.in(factor_x), weights, at.out(y)); });
  const double relative = inputs * twin::unit_roundoff<T> + 2.1 * test::kFactorRoundoff<P>;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < outputs; ++o) {
      twin::Row factor;
      for (std::size_t i = 0; i < inputs; ++i) factor.push_back(double(w.row(i)[o]));
      const twin::Row in = twin::row(x.row(r), inputs);
      CHECK(std::abs(double(y.row(r)[o]) - twin::dot(in, factor)) <=
            relative * twin::magnitude(in, factor));
    }
  }
}

// More weights than are widened at a time, for many rows or for one token's, and the same as
// gradients pass through them.
TEST_CASE("linear widens what a CUDA device keeps in bf16", "[host_cuda]") {
  test::UnderTest<Cuda> on;
  Cpu cpu(2);
  const auto [rows, many] = GENERATE(
      table<std::size_t, std::size_t>({{kRowTile, std::size_t{1} << 13}, {kFewRows, 1 << 16}}));
  constexpr std::size_t few = 80;
  const Matrix<float> w = random_matrix<float>(cpu, few, many, 1);
  const auto plain = PackedWeights::kept_in_bf16(on_device(on.device, rounded_copy<BF16>(cpu, w)));
  const PackedWeights transposed = plain.transposed();
  const auto check = [&](const PackedWeights& weights, const auto& weight) {
    const Matrix<float> x = random_matrix<float>(cpu, rows, weights.inputs(), 2);
    const Matrix<float> before = random_matrix<float>(cpu, rows, weights.outputs(), 3);
    Matrix<float> y = random_matrix<float>(cpu, rows, weights.outputs(), 3);
    test::run_on(on.device,
                 [&](auto& at) { linear(on.device, at.in(x), weights, at.out(y), Write::add); });
    const double relative = double(weights.inputs() + 1) * twin::unit_roundoff<float>;
    for (std::size_t o = 0; o < weights.outputs(); ++o) {
      double sum = before.row(2)[o], magnitude = std::abs(sum);
      for (std::size_t i = 0; i < weights.inputs(); ++i) {
        const double term = double(x.row(2)[i]) * to_float(to_bf16(weight(o, i)));
        sum += term;
        magnitude += std::abs(term);
      }
      CHECK(std::abs(double(y.row(2)[o]) - sum) <= relative * magnitude);
    }
  };
  check(plain, [&](std::size_t o, std::size_t i) { return w.row(o)[i]; });
  check(transposed, [&](std::size_t o, std::size_t i) { return w.row(i)[o]; });
}

TEMPLATE_TEST_CASE("linear's bits depend on neither threads nor the other rows", "", F32, F64,
                   MixedBF16) {
  using T = typename TestType::T;
  using P = typename TestType::P;
  const auto product = [](Cpu& cpu, std::size_t rows) {
    const auto x = rounded_copy<P>(cpu, random_matrix<T>(cpu, rows, 130, 1));
    const auto w = rounded_copy<P>(cpu, random_matrix<T>(cpu, 700, 130, 2));
    const PackedWeights weights(cpu, w.view());
    Matrix<T> y(cpu.memory(), rows, 700);
    linear(cpu, std::as_const(x).view(), weights, y.view());
    return elements(y);
  };
  CHECK(test::same_bits_for_any_threads([&](Cpu& cpu) { return product(cpu, 3 * kRowTile); }));
  Cpu cpu(2);
  std::vector<T> among_others = product(cpu, 3 * kRowTile);
  among_others.resize(kRowTile * 700);
  CHECK(test::same_bits(product(cpu, kRowTile), among_others));
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("linear refuses shapes that do not fit", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const PackedWeights weights = test::zero_weights<float>(on.device, 7, 4);
  CHECK(test::error_of([&] {
          linear(on.device, test::shaped<const float>(5, 4), weights, test::shaped<float>(5, 7));
        }) == "linear: x.rows is 5, expected 16 or a multiple of 128");
  CHECK(test::error_of([&] {
          linear(on.device, test::shaped<const float>(16, 5), weights, test::shaped<float>(16, 7));
        }) == "linear: x is [16, 5], expected [16, 4]");
  CHECK(test::error_of([&] {
          linear(on.device, test::shaped<const float>(16, 4), weights, test::shaped<float>(16, 8));
        }) == "linear: y is [16, 8], expected [16, 7]");
}
#endif

}  // namespace
}  // namespace longshadow
