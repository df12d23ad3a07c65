#pragma once

#include <cstddef>

#include "engine/ops/common/rounding.h"

namespace longshadow {

/// The dot product of two rows, summed in f64: every eighth element in one of eight sums, so that
/// an addition need not wait for the one before, and then those from the first to the last.
template <class A, class B>
double dot_in_f64(const A* a, const B* b, std::size_t size) {
  constexpr std::size_t kSums = 8;
  double sums[kSums] = {};
  const std::size_t whole = size / kSums * kSums;
  for (std::size_t i = 0; i < whole; i += kSums) {
    for (std::size_t j = 0; j < kSums; ++j) {
      sums[j] += widened<double>(a[i + j]) * widened<double>(b[i + j]);
    }
  }
  for (std::size_t i = whole; i < size; ++i) {
    sums[i - whole] += widened<double>(a[i]) * widened<double>(b[i]);
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace longshadow
