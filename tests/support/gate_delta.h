#pragma once

#include <cmath>
#include <limits>

#include "tests/support/twins.h"

namespace longshadow::test {

/// The change of act(gate) up, and what it may be off by.
struct GateDelta {
  long double value;
  long double bound;
};

/// The difference of two results, in long double. Of silu's formula each of the three terms takes a
/// dozen roundings in T, and g + dg rounds before it goes through exp. Of gelu_tanh's, z has 5
/// roundings and its change 7, which exp makes relative, and the difference of two sigmas, the one
/// at least 1.46 times the other (sigma(1) = 1.46 sigma(0)), is (1.46 + 1) / (1.46 - 1) = 5.4 times
/// as far off as they are: 5.4 (12 + 6 |z| + 8 |dz|).
template <class T>
GateDelta gate_delta(Activation activation, T gate, T up, T gate_change, T up_change) {
  const long double g = gate, u = up, dg = gate_change, du = up_change;
  const long double z = twin::gate_exponent(activation, g);
  const long double middle = g + dg / 2;
  const long double dz = activation == Activation::silu
                             ? dg
                             : dg * (twin::gate_exponent_slope(activation, 0) +
                                     (twin::gate_exponent_slope(activation, 1) -
                                      twin::gate_exponent_slope(activation, 0)) *
                                         (middle * middle + dg * dg / 12));
  const long double after = twin::logistic(z + dz);
  // Where |dz| is large e^-dz may overflow, and the difference of what is closer to 0 loses
  // nothing.
  const long double dsigma = std::abs(dz) < 1 ? -after * twin::logistic(-z) * std::expm1(-dz)
                             : z < 0          ? after - twin::logistic(z)
                                              : twin::logistic(-z) - twin::logistic(-z - dz);
  const long double magnitude =
      (std::abs(g * dsigma) + std::abs(after * dg)) * std::abs(u) + std::abs((g + dg) * after * du);
  const long double roundings = activation == Activation::silu
                                    ? 16 + std::abs(g) + std::abs(dg)
                                    : 5.4L * (12 + 6 * std::abs(z) + 8 * std::abs(dz));
  const long double relative = roundings * static_cast<long double>(twin::unit_roundoff<T>);
  // Where e^-x overflows, sigma is 0 instead of a subnormal number.
  const long double smallest = std::numeric_limits<T>::min();
  return {(g * dsigma + after * dg) * u + (g + dg) * after * du,
          relative * magnitude + smallest * (std::abs(g) + std::abs(dg)) * (std::abs(u) + 1)};
}

}  // namespace longshadow::test
