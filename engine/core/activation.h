#pragma once

#include <cstdint>

namespace longshadow {

/// The function that the gate of a feed-forward block passes through: g sigma(z), with sigma(z) = 1
/// / (1 + e^-z) and
///   silu       z = g;
///   gelu_tanh  z = 2 sqrt(2 / pi) (g + 0.044715 g³), by which it is g (1 + tanh(z / 2)) / 2
///              (Hendrycks and Gimpel 2016, arXiv 1606.08415, section 2).
enum class Activation : std::uint8_t { silu, gelu_tanh };

/// The factors of g and of g³ in gelu_tanh's z.
inline constexpr double kGeluLinear = 1.5957691216057307118;  // 2 sqrt(2 / pi)
inline constexpr double kGeluCubic = 0.044715 * kGeluLinear;

/// Calls body.operator()<activation>().
template <class Body>
void with_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::silu:
      return body.template operator()<Activation::silu>();
    case Activation::gelu_tanh:
      return body.template operator()<Activation::gelu_tanh>();
  }
}

}  // namespace longshadow
