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
  Cpu cpu(1);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37, 400);
  const double scale = GENERATE(1e-6, 1e-2, 1.0, 20.0);
  CAPTURE(cols, scale);
  const auto random = [&](unsigned seed, double size) {
    return test::elements(random_matrix<T>(cpu, 1, cols, seed, size));
  };
  const std::vector<T> gate = random(1, 5), up = random(2, 1);
  const std::vector<T> dgate = random(3, scale), dup = random(4, scale);
  std::vector<T> out(cols + 1, T{-7});
  silu_gate_delta(gate.data(), up.data(), dgate.data(), dup.data(), cols, out.data());
  for (std::size_t c = 0; c < cols; ++c) check_element(gate[c], up[c], dgate[c], dup[c], out[c]);
  CHECK(out[cols] == T{-7});
}

TEST_CASE("silu_gate_delta for a bf16 product is the f32 result rounded") {
  Cpu cpu(1);
  const std::size_t cols = GENERATE(as<std::size_t>(), 16, 37);
  const auto random = [&](unsigned seed) { return random_matrix<float>(cpu, 1, cols, seed); };
  const Matrix<float> gate = random(1), up = random(2), dgate = random(3), dup = random(4);
  std::vector<float> exact(cols);
  std::vector<BF16> found(cols);
  silu_gate_delta(gate.data(), up.data(), dgate.data(), dup.data(), cols, exact.data());
  silu_gate_delta(gate.data(), up.data(), dgate.data(), dup.data(), cols, found.data());
  for (std::size_t c = 0; c < cols; ++c) CHECK(found[c].bits == to_bf16(exact[c]).bits);
}

// The formula that `expected` is made of is the difference of two gates.
TEST_CASE("the twin of silu_gate_delta is a difference") {
  const double g = 0.7, u = -1.3, dg = 0.25, du = 0.5;
  check_element(g, u, dg, du, twin::silu(g + dg) * (u + du) - twin::silu(g) * u);
}

TEMPLATE_TEST_CASE("silu_gate_delta of no change is exactly 0", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  constexpr std::size_t cols = 37;
  const Matrix<T> gate = random_matrix<T>(cpu, 1, cols, 1), up = random_matrix<T>(cpu, 1, cols, 2);
  const std::vector<T> none(cols, T{0});
  std::vector<T> out(cols, T{-7});
  silu_gate_delta(gate.data(), up.data(), none.data(), none.data(), cols, out.data());
  CHECK(out == none);
}

}  // namespace
}  // namespace longshadow
