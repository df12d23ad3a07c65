#pragma once

#include "engine/core/activation.h"
#include "engine/ops/common/lanes.h"

/// The activations on the processor's lanes.
namespace longshadow {

/// z of Activation.
template <Activation activation, class T>
LONGSHADOW_INLINE Lanes<T> gate_exponent(Lanes<T> g) {
  if constexpr (activation == Activation::silu) return g;
  return g * (static_cast<T>(kGeluLinear) + static_cast<T>(kGeluCubic) * (g * g));
}

/// z's derivative by g.
template <Activation activation, class T>
LONGSHADOW_INLINE Lanes<T> gate_exponent_slope(Lanes<T> g) {
  if constexpr (activation == Activation::silu) return broadcast<T>(1);
  return static_cast<T>(kGeluLinear) + static_cast<T>(3 * kGeluCubic) * (g * g);
}

/// gelu_tanh's z(g + dg) - z(g). With m halfway between, (g + dg)³ - g³ = dg (3 m² + dg² / 4), a
/// sum of squares.
template <class T>
LONGSHADOW_INLINE Lanes<T> gelu_exponent_change(Lanes<T> g, Lanes<T> dg) {
  const Lanes<T> middle = g + dg / 2;
  return dg * (static_cast<T>(kGeluLinear) +
               static_cast<T>(kGeluCubic) * (3 * middle * middle + dg * dg / 4));
}

/// sigma(z), and sigma(-z) = 1 - sigma(z) as exact as itself: the larger from e^-|z| < 1, the
/// smaller from the larger.
template <class T>
struct LaneSigmoid {
  Lanes<T> value, complement;

  explicit LONGSHADOW_INLINE LaneSigmoid(Lanes<T> z) {
    const Lanes<T> shrink = exp<T>(-magnitude<T>(z));
    const Lanes<T> larger = 1 / (1 + shrink);
    const Lanes<T> smaller = shrink * larger;
    value = z < 0 ? smaller : larger;
    complement = z < 0 ? larger : smaller;
  }
};

/// The effect of a change of g on act(g).
template <class T>
struct LaneActivationChange {
  Lanes<T> value;        ///< of act(g)
  Lanes<T> sigma_after;  ///< sigma behind the change
};

/// With sigma' = sigma behind the change, act(g + dg) - act(g) = g (sigma' - sigma) + sigma' dg and
///   sigma' = sigma(z) / (sigma(z) + sigma(-z) e^-dz),
///   sigma' - sigma = -sigma' sigma(-z) expm1(-dz).
/// gelu_tanh's z grows with the cube of g, so that e^-dz would overflow where g is no larger than
/// ten: there sigma' comes from z + dz, and a difference that loses nothing, |dz| being large, from
/// the two sigmas that are closer to 0.
template <Activation activation, class T>
LONGSHADOW_INLINE LaneActivationChange<T> activation_change(Lanes<T> g, Lanes<T> dg) {
  const LaneSigmoid<T> before(gate_exponent<activation, T>(g));
  if constexpr (activation == Activation::silu) {
    const auto [growth, factor] = expm1_and_exp<T>(-dg);
    const Lanes<T> after = before.value / (before.value + before.complement * factor);
    const Lanes<T> dsigma = -after * before.complement * growth;
    return {g * dsigma + after * dg, after};
  } else {
    const Lanes<T> dz = gelu_exponent_change<T>(g, dg);
    const LaneSigmoid<T> after(gate_exponent<activation, T>(g) + dz);
    const Lanes<T> near = -after.value * before.complement * expm1<T>(-dz);
    const Lanes<T> far = g < 0 ? after.value - before.value : before.complement - after.complement;
    const Lanes<T> dsigma = magnitude<T>(dz) < 1 ? near : far;
    return {g * dsigma + after.value * dg, after.value};
  }
}

}  // namespace longshadow
