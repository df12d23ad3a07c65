#pragma once

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// y = w x / sqrt(mean(x²) + epsilon) for each row (Zhang and Sennrich 2019, arXiv 1910.07467).
/// x, y [rows, D]; w [1, D].
void rms_norm(Device& device, ConstTensorView x, ConstTensorView w, double epsilon, TensorView y);

/// rms_norm() on other devices than the processor.
struct RmsNormKernel
    : Operation<RmsNormKernel, ConstTensorView, ConstTensorView, double, TensorView> {};

}  // namespace longshadow
