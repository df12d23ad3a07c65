#pragma once

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/common/rounding.h"

/// Activations of type T and products in P, as the ops take them.
namespace longshadow::test {

template <class T_, class P_>
struct Types {
  using T = T_;
  using P = P_;
};
using F32 = Types<float, float>;
using F64 = Types<double, double>;
using MixedBF16 = Types<float, BF16>;

/// Half the distance from 1 to the next number: what rounding a factor to P costs.
template <class P>
inline constexpr double kFactorRoundoff = std::is_same_v<P, BF16> ? 0x1p-8 : 0;

template <class P, class T>
Matrix<P> rounded_copy(Cpu& cpu, const Matrix<T>& matrix) {
  Matrix<P> copy(cpu.memory(), matrix.rows(), matrix.cols());
  for (std::size_t i = 0; i < matrix.rows() * matrix.cols(); ++i) {
    copy.data()[i] = rounded<P>(matrix.data()[i]);
  }
  return copy;
}

/// The exact values of elements in P.
template <class T, class P>
Matrix<T> widened_copy(Cpu& cpu, const Matrix<P>& matrix) {
  Matrix<T> copy(cpu.memory(), matrix.rows(), matrix.cols());
  for (std::size_t i = 0; i < matrix.rows() * matrix.cols(); ++i) {
    copy.data()[i] = widened<T>(matrix.data()[i]);
  }
  return copy;
}

}  // namespace longshadow::test
