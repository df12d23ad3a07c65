#pragma once

#include "engine/backend/devices.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

enum class Write { replace, add };

/// y = x Wᵀ or y += x Wᵀ: x [rows, in], W [out, in], y [rows, out], rows kFewRows or a multiple of
/// kRowTile.
/// x has the weights' element type P, which sets the product's precision: bf16 sums in f32.
template <class T, class P>
void linear(Cpu& device, MatrixView<const P> x, const PackedWeights<P>& weights, MatrixView<T> y,
            Write write = Write::replace);
template <class T, class P>
void linear(Cuda& device, MatrixView<const P> x, const PackedWeights<P>& weights, MatrixView<T> y,
            Write write = Write::replace);

template <class T, class P>
void check_linear(MatrixView<const P> x, const PackedWeights<P>& weights, MatrixView<T> y) {
  require_product_rows("linear", "x.rows", x.rows);
  require_shape("linear", "x", x, x.rows, weights.inputs());
  require_shape("linear", "y", y, x.rows, weights.outputs());
}

}  // namespace longshadow
