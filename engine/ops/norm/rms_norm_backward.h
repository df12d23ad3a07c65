#pragma once

#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// Adds to dx the gradient that rms_norm's result hands back to its input x: with
/// r = 1 / sqrt(mean(x²) + epsilon), dx += r (w dy - x r² mean(x w dy)).
///   x [full rows, D]; w [1, D]; dy, dx [rows, D], read and written at the pairs' rows.
void rms_norm_backward(Device& device, ConstTensorView x, ConstTensorView w, double epsilon,
                       ConstTensorView dy, std::span<const PairedRows> pairs, TensorView dx);

/// rms_norm_backward() on other devices than the processor.
struct RmsNormBackwardKernel
    : Operation<RmsNormBackwardKernel, ConstTensorView, ConstTensorView, double, ConstTensorView,
                std::span<const PairedRows>, TensorView> {};

}  // namespace longshadow
