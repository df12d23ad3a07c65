#pragma once

#include <cstddef>

#include "engine/ops/rounding.h"

namespace longshadow {

/// The dot product of two rows, summed in f64 from the first element to the last.
template <class A, class B>
double dot_in_f64(const A* a, const B* b, std::size_t size) {
  double total = 0;
  for (std::size_t i = 0; i < size; ++i) total += widened<double>(a[i]) * widened<double>(b[i]);
  return total;
}

}  // namespace longshadow
