#include "engine/ops/common/logit_cap.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr double kCap = 30;

template <class T>
std::vector<T> random_row(std::size_t cols, unsigned seed, double scale) {
  Cpu cpu(1);
  return test::elements(test::random_matrix<T>(cpu, 1, cols, seed, scale));
}

// A tanh is off by 8 ulp, 16 u; what is divided before it, and multiplied behind it, by a rounding.
TEMPLATE_TEST_CASE("capped logits at widths that are and are not whole lanes", "", float, double) {
  using T = TestType;
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37);
  const double scale = GENERATE(0.01, 10.0, 1000.0);
  const std::vector<T> plain = random_row<T>(cols, 1, scale);
  std::vector<T> capped = plain, tanhs(cols + 1, T{-7});
  cap_logits(capped.data(), cols, kCap, tanhs.data());
  for (std::size_t c = 0; c < cols; ++c) {
    const double expected = capped_logit(double(plain[c]), kCap);
    CHECK(std::abs(double(capped[c]) - expected) <=
          19 * twin::unit_roundoff<T> * std::abs(expected));
    CHECK(capped[c] == tanhs[c] * static_cast<T>(kCap));
  }
  CHECK(tanhs[cols] == T{-7});
}

TEST_CASE(
    "a capped logit is near itself where it is small, never beyond the cap, and may be none") {
  std::vector<float> logits{0, 1e-6F, -1e30F, std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()};
  cap_logits(logits.data(), logits.size(), kCap);
  CHECK(logits[0] == 0);
  CHECK(double(logits[1]) == Approx(1e-6).epsilon(1e-6));
  CHECK(logits[2] == -30);
  CHECK(logits[3] == 30);
  CHECK(std::isnan(logits[4]));
  CHECK(capped_logit(-1e30, 0) == -1e30);
  CHECK(capped_logit_slope(-1e30, 0) == 1);
  CHECK(capped_logit_change(-1e30, 2, 0) == 2);
}

// tanh of the logit, as it is in T, is off by nothing here; of the change it is by 16 u, and eight
// roundings follow. 1 - |tanh| and 1 + tanh step, of logits within the cap, lose a factor of 4.2
// (1 / (1 - tanh(1))) at most.
TEMPLATE_TEST_CASE("changes of capped logits are as exact as the changes", "", float, double) {
  using T = TestType;
  const std::size_t cols = GENERATE(as<std::size_t>(), 1, 16, 37);
  const double scale = GENERATE(1e-9, 1e-3, 1.0, 7.0);
  std::vector<T> tanhs = random_row<T>(cols, 1, 0.25);
  for (T& t : tanhs) t = std::clamp(t, T(-0.76), T(0.76));
  const std::vector<T> plain = random_row<T>(cols, 2, scale);
  std::vector<T> changes = plain;
  cap_logit_changes(tanhs.data(), cols, kCap, changes.data());
  for (std::size_t c = 0; c < cols; ++c) {
    const long double t = tanhs[c], step = std::tanh(static_cast<long double>(plain[c]) / kCap);
    const long double expected = kCap * step * (1 - t * t) / (1 + t * step);
    CHECK(std::abs(static_cast<long double>(changes[c]) - expected) <=
          (16 + 8) * 4.2L * twin::unit_roundoff<T> * std::abs(expected));
    CHECK(std::abs(capped_logit_change(kCap * std::atanh(double(t)), double(plain[c]), kCap) -
                   static_cast<double>(expected)) <= 1e-13 * std::abs(double(plain[c])));
  }
}

TEMPLATE_TEST_CASE("slopes of capped logits are their derivatives", "", float, double) {
  using T = TestType;
  const std::vector<T> tanhs{T{0}, T(0.5), T(-0.9)};
  std::vector<T> x{T{2}, T{2}, T{2}};
  multiply_by_cap_slopes(tanhs.data(), 3, x.data());
  for (std::size_t c = 0; c < 3; ++c) {
    const double logit = kCap * std::atanh(double(tanhs[c]));
    CHECK(double(x[c]) == Approx(2 * capped_logit_slope(logit, kCap)));
    CHECK((capped_logit(logit + 1e-4, kCap) - capped_logit(logit - 1e-4, kCap)) / 2e-4 ==
          Approx(capped_logit_slope(logit, kCap)).epsilon(1e-8));
  }
}

}  // namespace
}  // namespace longshadow
