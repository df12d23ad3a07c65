#pragma once

#include "engine/core/activation.h"
#include "engine/cuda/launch.h"

/// The activations on a CUDA device, by the formulas of gate_lanes.h.
namespace longshadow {

/// z of Activation.
template <Activation activation, class T>
__device__ T gate_exponent(T g) {
  if constexpr (activation == Activation::silu) return g;
  return g * (static_cast<T>(kGeluLinear) + static_cast<T>(kGeluCubic) * (g * g));
}

/// z's derivative by g.
template <Activation activation, class T>
__device__ T gate_exponent_slope(T g) {
  if constexpr (activation == Activation::silu) return T{1};
  return static_cast<T>(kGeluLinear) + static_cast<T>(3 * kGeluCubic) * (g * g);
}

/// sigma(z) and sigma(-z): the larger from e^-|z| < 1, the smaller from the larger.
template <class T>
struct Sigmoid {
  T value, complement;

  explicit __device__ Sigmoid(T z) {
    const T shrink = exp(z < 0 ? z : -z);
    const T larger = 1 / (1 + shrink), smaller = shrink * larger;
    value = z < 0 ? smaller : larger;
    complement = z < 0 ? larger : smaller;
  }
};

/// The effect of a change of g on act(g).
template <class T>
struct ActivationChange {
  T value;        ///< of act(g)
  T sigma_after;  ///< sigma behind the change
};

template <Activation activation, class T>
__device__ ActivationChange<T> activation_change(T g, T dg) {
  const Sigmoid<T> before(gate_exponent<activation>(g));
  if constexpr (activation == Activation::silu) {
    // Where it is cut, sigma(g + dg) is as good as 0.
    const T exponent = -dg < kLargestExponent<T> ? -dg : kLargestExponent<T>;
    const T after = before.value / (before.value + before.complement * exp(exponent));
    const T dsigma = -after * before.complement * expm1(exponent);
    return {g * dsigma + after * dg, after};
  } else {
    const T middle = g + dg / 2;
    const T dz = dg * (static_cast<T>(kGeluLinear) +
                       static_cast<T>(kGeluCubic) * (3 * middle * middle + dg * dg / 4));
    const Sigmoid<T> after(gate_exponent<activation>(g) + dz);
    const T dsigma = dz < 1 && dz > -1 ? -after.value * before.complement * expm1(-dz)
                     : g < 0           ? after.value - before.value
                                       : before.complement - after.complement;
    return {g * dsigma + after.value * dg, after.value};
  }
}

}  // namespace longshadow
