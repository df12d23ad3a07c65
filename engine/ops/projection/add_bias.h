#pragma once

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// Adds bias [1, cols] to every row of x [rows, cols]; an empty bias [0, 0] changes nothing.
void add_bias(Device& device, ConstTensorView bias, TensorView x);

/// add_bias() on other devices than the processor.
struct AddBiasKernel : Operation<AddBiasKernel, ConstTensorView, TensorView> {};

}  // namespace longshadow
