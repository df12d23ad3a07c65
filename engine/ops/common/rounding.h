#pragma once

#include <type_traits>

#include "engine/backend/operation.h"
#include "engine/core/half.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// `value` in the element type of a product.
template <class P, class T>
constexpr P rounded(T value) {
  if constexpr (std::is_same_v<P, T>) {
    return value;
  } else {
    return to_bf16(value);
  }
}

/// The exact value of an element in T, which is no narrower.
template <class T, class P>
constexpr T widened(P value) {
  if constexpr (std::is_same_v<P, BF16>) {
    return static_cast<T>(to_float(value));
  } else {
    return static_cast<T>(value);
  }
}

/// to = from in the element type of a product: rounded to bf16, or copied. Both [rows, cols]; on
/// the calling thread.
void round_rows(MatrixView<const float> from, MatrixView<BF16> to);
void round_rows(MatrixView<const float> from, MatrixView<float> to);
void round_rows(MatrixView<const double> from, MatrixView<double> to);

/// Rounds by all of a device, from f32 to bf16.
void round_rows(Device& device, ConstTensorView from, TensorView to);

/// round_rows() on other devices than the processor.
struct RoundRowsKernel : Operation<RoundRowsKernel, ConstTensorView, TensorView> {};

/// x as a factor of a product: itself where `scratch` has its element type, or else rounded into
/// that, of its shape.
inline ConstTensorView rounded_rows(Device& device, ConstTensorView x, TensorView scratch) {
  if (scratch.element == x.element) return x;
  round_rows(device, x, scratch);
  return scratch;
}

inline void check_round_rows(ConstTensorView from, TensorView to) {
  require_shape("round_rows", "to", to, from.rows, from.cols);
}

}  // namespace longshadow
