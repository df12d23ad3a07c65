#pragma once

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"

namespace longshadow {

enum class Write { replace, add };

/// y = x Wᵀ or y += x Wᵀ: x [rows, in], W [out, in], y [rows, out], rows kFewRows or a multiple of
/// kRowTile.
/// x has the weights' element type P, which sets the product's precision: bf16 sums in f32.
template <class Device, class T, class P>
void linear(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights, MatrixView<T> y,
            Write write = Write::replace);

}  // namespace longshadow
