#pragma once

#include <cstddef>

namespace longshadow {

/// How many elements a part takes: of weights in all, of activations for each row. Memory plans
/// and FLOPs are sums of these over the parts.
struct PartSize {
  std::size_t matrices = 0;        ///< weights that products read
  std::size_t tape = 0;            ///< what the tape keeps
  std::size_t forward = 0;         ///< activations of the forward pass
  std::size_t delta = 0;           ///< changes, in the precision of the pass
  std::size_t delta_products = 0;  ///< changes, in the precision of the products they go into
  std::size_t gradients = 0;

  PartSize& operator+=(const PartSize& other) {
    matrices += other.matrices;
    tape += other.tape;
    forward += other.forward;
    delta += other.delta;
    delta_products += other.delta_products;
    gradients += other.gradients;
    return *this;
  }
};

}  // namespace longshadow
