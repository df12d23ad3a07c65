#include "engine/ops/feed_forward/gate_delta.h"

#include <catch2/catch.hpp>

#include "engine/core/half.h"
#include "tests/support/gate_delta.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

using test::random_matrix;

template <class T>
void check_element(Activation activation, T gate, T up, T gate_change, T up_change, T found) {
  const auto [expected, bound] = test::gate_delta(activation, gate, up, gate_change, up_change);
  CAPTURE(int(activation), gate, up, gate_change, up_change);
  CHECK(std::abs(static_cast<long double>(found) - expected) <= bound);
}

TEMPLATE_TEST_CASE("gate_delta is exact for changes of any size", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37, 400);
  const double scale = GENERATE(1e-6, 1e-2, 1.0, 20.0);
  const Activation activation = GENERATE(Activation::silu, Activation::gelu_tanh);
  CAPTURE(cols, scale);
  const auto random = [&](unsigned seed, double size) {
    return test::elements(random_matrix<T>(cpu, 1, cols, seed, size));
  };
  const std::vector<T> gate = random(1, 5), up = random(2, 1);
  const std::vector<T> dgate = random(3, scale), dup = random(4, scale);
  std::vector<T> out(cols + 1, T{-7});
  gate_delta(activation, gate.data(), up.data(), dgate.data(), dup.data(), cols, out.data());
  for (std::size_t c = 0; c < cols; ++c) {
    check_element(activation, gate[c], up[c], dgate[c], dup[c], out[c]);
  }
  CHECK(out[cols] == T{-7});
}

TEST_CASE("gate_delta for a bf16 product is the f32 result rounded") {
  Cpu cpu(1);
  const std::size_t cols = GENERATE(as<std::size_t>(), 16, 37);
  const Activation kind = GENERATE(Activation::silu, Activation::gelu_tanh);
  const auto random = [&](unsigned seed) { return random_matrix<float>(cpu, 1, cols, seed); };
  const Matrix<float> gate = random(1), up = random(2), dgate = random(3), dup = random(4);
  std::vector<float> exact(cols);
  std::vector<BF16> found(cols);
  gate_delta(kind, gate.data(), up.data(), dgate.data(), dup.data(), cols, exact.data());
  gate_delta(kind, gate.data(), up.data(), dgate.data(), dup.data(), cols, found.data());
  for (std::size_t c = 0; c < cols; ++c) CHECK(found[c].bits == to_bf16(exact[c]).bits);
}

// The formula that `expected` is made of is the difference of two gates.
TEST_CASE("the twin of gate_delta is a difference") {
  const double g = 0.7, u = -1.3, dg = 0.25, du = 0.5;
  for (const Activation kind : {Activation::silu, Activation::gelu_tanh}) {
    check_element(kind, g, u, dg, du,
                  twin::activation(kind, g + dg) * (u + du) - twin::activation(kind, g) * u);
  }
}

TEMPLATE_TEST_CASE("gate_delta of no change is exactly 0", "", float, double) {
  using T = TestType;
  Cpu cpu(1);
  constexpr std::size_t cols = 37;
  const Matrix<T> gate = random_matrix<T>(cpu, 1, cols, 1), up = random_matrix<T>(cpu, 1, cols, 2);
  const std::vector<T> none(cols, T{0});
  for (const Activation kind : {Activation::silu, Activation::gelu_tanh}) {
    std::vector<T> out(cols, T{-7});
    gate_delta(kind, gate.data(), up.data(), none.data(), none.data(), cols, out.data());
    CHECK(out == none);
  }
}

}  // namespace
}  // namespace longshadow
