#pragma once

#include <cmath>
#include <limits>

#include "tests/support/twins.h"

namespace longshadow::test {

/// The change of silu(gate) up, and what it may be off by.
struct GateDelta {
  long double value;
  long double bound;
};

/// The difference of two results, in long double: each of the formula's three terms takes a dozen
/// roundings in T, and g + dg rounds before it goes through exp.
template <class T>
GateDelta gate_delta(T gate, T up, T gate_change, T up_change) {
  const auto sigma = [](long double x) { return 1 / (1 + std::exp(-x)); };
  const long double g = gate, u = up, dg = gate_change, du = up_change;
  const long double dsigma = -sigma(g + dg) * sigma(-g) * std::expm1(-dg);
  const long double after = sigma(g + dg);
  const long double magnitude =
      (std::abs(g * dsigma) + std::abs(after * dg)) * std::abs(u) + std::abs((g + dg) * after * du);
  const long double relative =
      (16 + std::abs(g) + std::abs(dg)) * static_cast<long double>(twin::unit_roundoff<T>);
  // Where e^-x overflows, sigma is 0 instead of a subnormal number.
  const long double smallest = std::numeric_limits<T>::min();
  return {(g * dsigma + after * dg) * u + (g + dg) * after * du,
          relative * magnitude + smallest * (std::abs(g) + std::abs(dg)) * (std::abs(u) + 1)};
}

}  // namespace longshadow::test
