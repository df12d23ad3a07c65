#pragma once

#include <cstddef>

namespace longshadow {

/// How many elements a part takes: of weights in all, of activations for each row. Memory plans
/// and FLOPs are sums of these over the parts.
struct PartSize {
  std::size_t matrices = 0;         ///< weights that products read
  std::size_t matrices_of_row = 0;  ///< weights that one row is multiplied with
  std::size_t tape = 0;             ///< what the tape keeps
  std::size_t forward = 0;          ///< activations of the forward pass
  std::size_t delta = 0;            ///< changes, in the precision of the pass
  std::size_t delta_products = 0;   ///< changes, in the precision of the products they go into
  std::size_t gradients = 0;
  std::size_t padding = 0;  ///< activations of rows that fill tiles up, whatever the rows

  PartSize& operator+=(const PartSize& other) {
    matrices += other.matrices;
    matrices_of_row += other.matrices_of_row;
    tape += other.tape;
    forward += other.forward;
    delta += other.delta;
    delta_products += other.delta_products;
    gradients += other.gradients;
    padding += other.padding;
    return *this;
  }
};

}  // namespace longshadow
