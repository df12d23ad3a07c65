#pragma once

#include <cmath>
#include <cstddef>

namespace longshadow {

/// Euclidean, in f64.
inline double norm2(const float* x, std::size_t size) {
  double squares = 0;
  for (std::size_t i = 0; i < size; ++i) squares += static_cast<double>(x[i]) * x[i];
  return std::sqrt(squares);
}

/// values = e^(values - c) with a sum of one.
template <class Values>
void softmax(Values&& values) {
  double highest = values[0];
  for (const double value : values) highest = value > highest ? value : highest;
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - highest);
  for (double& value : values) value /= sum;
}

}  // namespace longshadow
