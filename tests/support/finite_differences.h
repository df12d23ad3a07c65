#pragma once

#include <cmath>
#include <utility>

namespace longshadow::test {

/// The derivative of `value`(), a smooth function of the double `x`, by central differences of step
/// h and 2 h, extrapolated (Richardson): what is left is of order h⁴ and value's rounding over h.
/// With h = 1e-3 of x's scale both are some 1e-12 of value's.
template <class Function>
double derivative(double& x, Function&& value, double h = 1e-3) {
  const double at = x;
  const auto central = [&](double step) {
    x = at + step;
    const double above = value();
    x = at - step;
    const double below = value();
    x = at;
    return (above - below) / (2 * step);
  };
  const double coarse = central(2 * h);
  const double fine = central(h);
  return fine + (fine - coarse) / 3;
}

}  // namespace longshadow::test
