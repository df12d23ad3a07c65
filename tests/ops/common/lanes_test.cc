#include "engine/ops/common/lanes.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/core/range.h"
#include "tests/support/larger.h"

namespace longshadow {
namespace {

/// What the ops' loops do with a function on lanes, compiled as theirs are: once per processor.
template <class T>
LONGSHADOW_PER_CPU void apply_exp(const T* x, T* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<T>) store<T>(y + i, exp<T>(load(x + i)));
}
template <class T>
LONGSHADOW_PER_CPU void apply_exp_minus_linear(const T* x, T* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<T>) {
    store<T>(y + i, exp_minus_linear<T>(load(x + i)));
  }
}
template <class T>
LONGSHADOW_PER_CPU void apply_expm1(const T* x, T* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<T>) store<T>(y + i, expm1<T>(load(x + i)));
}

template <class T>
LONGSHADOW_PER_CPU void apply_expm1_of_small(const T* x, T* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<T>) store<T>(y + i, expm1_of_small<T>(load(x + i)));
}

template <class T>
using Apply = void (*)(const T*, T*, std::size_t);

template <class T>
std::vector<T> apply(Apply<T> function, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  function(x.data(), y.data(), x.size());
  return y;
}

/// Evenly spaced values of [low, high], a multiple of the lanes.
template <class T>
std::vector<T> between(double low, double high, std::size_t count = 1 << 16) {
  std::vector<T> x;
  for (std::size_t i = 0; i < count; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(count - 1);
    x.push_back(static_cast<T>(low + (high - low) * share));
  }
  return x;
}

/// The distance from |value| to the next number up.
template <class T>
long double ulp(long double value) {
  const T rounded = static_cast<T>(std::abs(value));
  return std::nextafter(rounded, std::numeric_limits<T>::infinity()) - rounded;
}

template <class T>
double largest_error_in_ulp(Apply<T> function, long double (*exact)(long double),
                            const std::vector<T>& x) {
  const std::vector<T> y = apply(function, x);
  long double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double expected = exact(x[i]);
    if (expected == 0 && y[i] == 0) continue;
    const long double error = std::abs(static_cast<long double>(y[i]) - expected);
    largest = test::larger(largest, error / ulp<T>(expected));
  }
  return static_cast<double>(largest);
}

long double exact_exp(long double x) { return std::exp(x); }
long double exact_expm1(long double x) { return std::expm1(x); }

/// e^x - 1 - x; its series where the difference of long doubles would lose what T can hold.
long double exact_exp_minus_linear(long double x) {
  if (std::abs(x) > 0.1L) return std::expm1(x) - x;
  long double term = x * x / 2;
  long double sum = 0;
  for (int i = 3; i < 24; ++i) {
    sum += term;
    term *= x / i;
  }
  return sum;
}

TEMPLATE_TEST_CASE("exp is within 2 ulp over all normal results", "", float, double) {
  using T = TestType;
  const double lowest = ExpConstants<T>::lowest, highest = ExpConstants<T>::highest;
  CHECK(largest_error_in_ulp<T>(apply_exp<T>, exact_exp, between<T>(lowest, highest)) <= 2);
  CHECK(largest_error_in_ulp<T>(apply_exp<T>, exact_exp, between<T>(-1, 1)) <= 2);
  CHECK(largest_error_in_ulp<T>(apply_exp<T>, exact_exp, between<T>(-1e-6, 1e-6, 1024)) <= 2);
}

TEMPLATE_TEST_CASE("exp at and beyond its limits", "", float, double) {
  using T = TestType;
  const T infinity = std::numeric_limits<T>::infinity();
  std::vector<T> x(kLanes<T>, -infinity);
  x[1] = std::numeric_limits<T>::lowest();
  x[2] = 0;
  x[3] = -T{0};
  x[4] = infinity;
  x[5] = std::numeric_limits<T>::quiet_NaN();
  const std::vector<T> y = apply<T>(apply_exp<T>, x);
  CHECK(y[0] == 0);
  CHECK(y[1] == 0);
  CHECK(y[2] == 1);
  CHECK(y[3] == 1);
  CHECK(y[4] > std::numeric_limits<T>::max() / 4);  // clamped near the largest number
  CHECK(std::isnan(y[5]));                          // a broken model must not look whole
}

// Below 1/2 each of the four multiplications and additions rounds once more; above, e^x is off by
// 2 ulp of itself, of which the smallest result, at -1/2, is a fifth: 16 of its own ulp.
TEMPLATE_TEST_CASE("exp_minus_linear does not cancel", "", float, double) {
  using T = TestType;
  const auto error = [](double low, double high) {
    return largest_error_in_ulp<T>(apply_exp_minus_linear<T>, exact_exp_minus_linear,
                                   between<T>(low, high));
  };
  CHECK(error(-0.4999, 0.4999) <= 4);
  CHECK(error(-1e-3, 1e-3) <= 4);
  CHECK(error(-1e-12, 1e-12) <= 4);
  CHECK(error(0.5, 80) <= 16);
  CHECK(error(-80, -0.5) <= 16);
}

// Near 0 the series' rounding, up to one ulp of the result, and the product's, half of one. Farther
// out 2^k (e^r - 1) and 2^k - 1 can cancel to a third of the larger one.
TEMPLATE_TEST_CASE("expm1 is exact near 0 and -1 far below", "", float, double) {
  using T = TestType;
  const auto error = [](Apply<T> function, double low, double high) {
    return largest_error_in_ulp<T>(function, exact_expm1, between<T>(low, high));
  };
  CHECK(error(apply_expm1<T>, -0.4999, 0.4999) <= 5);
  CHECK(error(apply_expm1<T>, -1e-6, 1e-6) <= 1.5);
  CHECK(error(apply_expm1<T>, -80, 80) <= 5);
  CHECK(error(apply_expm1_of_small<T>, -0.25, 0.25) <= 2);
  CHECK(error(apply_expm1_of_small<T>, -1e-6, 1e-6) <= 1.5);

  std::vector<T> x(kLanes<T>, T{-1e9});
  x[1] = -std::numeric_limits<T>::infinity();
  x[2] = std::numeric_limits<T>::quiet_NaN();
  x[3] = 0;
  const std::vector<T> y = apply<T>(apply_expm1<T>, x);
  CHECK(y[0] == -1);
  CHECK(y[1] == -1);
  CHECK(std::isnan(y[2]));
  CHECK(y[3] == 0);
}

template <class T>
LONGSHADOW_PER_CPU void apply_whole_of_pair(const T* x, T* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<T>) {
    store<T>(y + i, expm1_and_exp<T>(load(x + i)).whole);
  }
}

TEMPLATE_TEST_CASE("e^x comes with e^x - 1 as exact as alone", "", float, double) {
  using T = TestType;
  const double lowest = ExpConstants<T>::lowest, highest = ExpConstants<T>::highest;
  CHECK(largest_error_in_ulp<T>(apply_whole_of_pair<T>, exact_exp, between<T>(lowest, highest)) <=
        2);
  CHECK(largest_error_in_ulp<T>(apply_whole_of_pair<T>, exact_exp, between<T>(-1, 1)) <= 2);
}

template <class T>
LONGSHADOW_PER_CPU void apply_tanh(const T* x, T* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<T>) store<T>(y + i, tanh<T>(load(x + i)));
}

template <class T>
LONGSHADOW_PER_CPU void apply_tanh_change(const T* tanh_a, const T* b, T* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<T>) {
    store<T>(y + i, tanh_change<T>(load(tanh_a + i), load(b + i)));
  }
}

long double exact_tanh(long double x) { return std::tanh(x); }

// expm1's 5 ulp go into the quotient less than once, as the divisor moves along; the sum and the
// quotient round once each.
TEMPLATE_TEST_CASE("tanh keeps its digits near 0, its sign and NaN", "", float, double) {
  using T = TestType;
  const auto error = [](double low, double high) {
    return largest_error_in_ulp<T>(apply_tanh<T>, exact_tanh, between<T>(low, high));
  };
  CHECK(error(-30, 30) <= 8);
  CHECK(error(-1e-6, 1e-6) <= 8);

  std::vector<T> x(kLanes<T>, T{-1e9});
  x[1] = std::numeric_limits<T>::infinity();
  x[2] = std::numeric_limits<T>::quiet_NaN();
  x[3] = 0;
  const std::vector<T> y = apply<T>(apply_tanh<T>, x);
  CHECK(y[0] == -1);
  CHECK(y[1] == 1);
  CHECK(std::isnan(y[2]));
  CHECK(y[3] == 0);
}

// Given tanh a as T has it, the form rounds tanh b (8 ulp) and seven times more; 1 - tanh² a and
// 1 + tanh a tanh b are sums that lose at most a factor of 2 each where |a|, |b| <= 1.
TEMPLATE_TEST_CASE("a change of tanh has an error relative to itself", "", float, double) {
  using T = TestType;
  for (const double size : {1.0, 1e-3, 1e-9}) {
    const std::vector<T> a = between<T>(-1, 1, 1 << 10);
    std::vector<T> tanh_a, b, found(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      tanh_a.push_back(static_cast<T>(std::tanh(a[i])));
      b.push_back(static_cast<T>(size * std::sin(static_cast<double>(7 * i + 1))));
    }
    apply_tanh_change(tanh_a.data(), b.data(), found.data(), a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      const auto t = static_cast<long double>(tanh_a[i]);
      const long double tanh_b = std::tanh(static_cast<long double>(b[i]));
      const long double exact = tanh_b * (1 - t * t) / (1 + t * tanh_b);
      CHECK(std::abs(found[i] - exact) <= 24 * ulp<T>(exact));
    }
  }
}

LONGSHADOW_PER_CPU void store_all(const float* x, BF16* y, std::size_t size) {
  for (std::size_t i = 0; i < size; i += kLanes<float>) store<float>(y + i, load(x + i));
}

TEST_CASE("lanes are stored as bf16 as to_bf16 rounds") {
  // Every exponent and sign, with the low bits below, at and above a tie of even and odd results.
  std::vector<float> x;
  for (std::uint32_t high = 0; high < 0x10000; high += 0x35) {
    for (const std::uint32_t low : {0x0u, 0x1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      x.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  for (const std::uint32_t bits : {0x7f800000u, 0x7f800001u, 0xff800000u, 0xffffffffu}) {
    x.push_back(std::bit_cast<float>(bits));
  }
  x.resize(round_up(x.size(), kLanes<float>));
  std::vector<BF16> y(x.size());
  store_all(x.data(), y.data(), x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(x[i]);
    CHECK(y[i].bits == to_bf16(x[i]).bits);
  }
}

TEMPLATE_TEST_CASE("sum and largest see every lane", "", float, double) {
  using T = TestType;
  for (std::size_t at = 0; at < kLanes<T>; ++at) {
    Lanes<T> lanes = broadcast<T>(-1);
    lanes[at] = 5;
    CHECK(largest<T>(lanes) == 5);
    CHECK(sum<T>(lanes) == 5.0 - static_cast<double>(kLanes<T> - 1));
  }
}

}  // namespace
}  // namespace longshadow
