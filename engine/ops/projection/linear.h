#pragma once

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

enum class Write { replace, add };

/// y = x Wᵀ or y += x Wᵀ: x [rows, in], W [out, in], y [rows, out], rows kFewRows or a multiple of
/// kRowTile.
/// x has the weights' element type P, which sets the product's precision: bf16 sums in f32.
void linear(Device& device, ConstTensorView x, const PackedWeights& weights, TensorView y,
            Write write = Write::replace);

/// linear() on other devices than the processor.
struct LinearKernel
    : Operation<LinearKernel, ConstTensorView, const PackedWeights&, TensorView, Write> {};

}  // namespace longshadow
