#pragma once

#include <cmath>

namespace longshadow::test {

/// The larger of two numbers, NaN where either is NaN. std::max(a, NaN) is a, so that a bound on a
/// largest error taken with it would hold for results that are no numbers.
template <class T>
T larger(T a, T b) {
  return std::isnan(a) || a > b ? a : b;
}

/// The smaller of two numbers, NaN where either is NaN.
template <class T>
T smaller(T a, T b) {
  return std::isnan(a) || a < b ? a : b;
}

}  // namespace longshadow::test
