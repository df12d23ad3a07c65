#include "engine/ops/silu_gate_delta.h"

#include <catch2/catch.hpp>

#include "engine/core/half.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

long double sigma(long double x) { return 1 / (1 + std::exp(-x)); }

/// The difference of two results, in long double, and what the op may be off by: each of the three
/// terms takes a dozen roundings, and g + dg rounds before it goes through exp.
template <class T>
void check_element(T gate, T up, T gate_change, T up_change, T found) {
  const long double g = gate, u = up, dg = gate_change, du = up_change;
  const long double dsigma = -sigma(g + dg) * sigma(-g) * std::expm1(-dg);
  const long double after = sigma(g + dg);
  const long double expected = (g * dsigma + after * dg) * u + (g + dg) * after * du;
  const long double magnitude =
      (std::abs(g * dsigma) + std::abs(after * dg)) * std::abs(u) + std::abs((g + dg) * after * du);
  const long double relative =
      (16 + std::abs(g) + std::abs(dg)) * static_cast<long double>(twin::unit_roundoff<T>);
  CAPTURE(gate, up, gate_change, up_change);
  // Where e^-x overflows, sigma is 0 instead of a subnormal number.
  const long double smallest = std::numeric_limits<T>::min();
  CHECK(std::abs(static_cast<long double>(found) - expected) <=
        relative * magnitude + smallest * (std::abs(g) + std::abs(dg)) * (std::abs(u) + 1));
}

TEMPLATE_TEST_CASE("silu_gate_delta is exact for changes of any size", "", float, double) {
  using T = TestType;
  Cpu cpu(2);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37);
  const double scale = GENERATE(1e-6, 1e-2, 1.0, 20.0);
  CAPTURE(cols, scale);
  const Matrix<T> gate = random_matrix<T>(cpu, 30, cols, 1, 5);
  const Matrix<T> up = random_matrix<T>(cpu, 30, cols, 2);
  const Matrix<T> dgate = random_matrix<T>(cpu, 20, cols, 3, scale);
  const Matrix<T> dup = random_matrix<T>(cpu, 20, cols, 4, scale);
  Matrix<T> out(cpu.memory(), 20, cols);
  std::fill_n(out.data(), 20 * cols, T{-7});
  const std::vector<PairedRows> pairs{{0, 5, 20}, {7, 13, 3}};
  silu_gate_delta(cpu, gate.view(), up.view(), dgate.view(), dup.view(), std::span(pairs),
                  out.view());
  for (const PairedRows& pair : pairs) {
    for (std::size_t r = 0; r < pair.n_rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) {
        const std::size_t full = pair.full_row + r, row = pair.first_row + r;
        check_element(gate.row(full)[c], up.row(full)[c], dgate.row(row)[c], dup.row(row)[c],
                      out.row(row)[c]);
      }
    }
  }
  for (std::size_t i = 5 * cols; i < 7 * cols; ++i) CHECK(out.data()[i] == T{-7});
}

TEST_CASE("silu_gate_delta for a bf16 product is the f32 result rounded") {
  Cpu cpu(1);
  const std::size_t cols = GENERATE(as<std::size_t>(), 16, 37);
  const auto random = [&](unsigned seed) { return random_matrix<float>(cpu, 4, cols, seed); };
  const Matrix<float> gate = random(1), up = random(2), dgate = random(3), dup = random(4);
  Matrix<float> exact(cpu.memory(), 4, cols);
  Matrix<BF16> found(cpu.memory(), 4, cols);
  const std::vector<PairedRows> pairs{{0, 4, 0}};
  silu_gate_delta(cpu, gate.view(), up.view(), dgate.view(), dup.view(), std::span(pairs),
                  exact.view());
  silu_gate_delta(cpu, gate.view(), up.view(), dgate.view(), dup.view(), std::span(pairs),
                  found.view());
  for (std::size_t i = 0; i < 4 * cols; ++i) {
    CHECK(found.data()[i].bits == to_bf16(exact.data()[i]).bits);
  }
}

// The formula that `expected` is made of is the difference of two gates.
TEST_CASE("the twin of silu_gate_delta is a difference") {
  const double g = 0.7, u = -1.3, dg = 0.25, du = 0.5;
  check_element(g, u, dg, du, twin::silu(g + dg) * (u + du) - twin::silu(g) * u);
}

TEMPLATE_TEST_CASE("silu_gate_delta of no change is exactly 0", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  const Matrix<T> gate = random_matrix<T>(cpu, 2, 37, 1), up = random_matrix<T>(cpu, 2, 37, 2);
  const Matrix<T> none(cpu.memory(), 2, 37);
  Matrix<T> out = random_matrix<T>(cpu, 2, 37, 3);
  const std::vector<PairedRows> pairs{{0, 2, 0}};
  silu_gate_delta(cpu, gate.view(), up.view(), none.view(), none.view(), std::span(pairs),
                  out.view());
  for (std::size_t i = 0; i < 2 * 37; ++i) CHECK(out.data()[i] == 0);
}

}  // namespace
}  // namespace longshadow
