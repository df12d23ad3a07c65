#pragma once

#include <span>

#include "engine/backend/operation.h"
#include "engine/core/activation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// The gradients that act(gate) up hands back, with sigma and z of Activation:
///   dgate = dout up sigma(z) (1 + gate z' sigma(-z)),   dup = dout gate sigma(z).
/// gate, up [full rows, F]; dout, dgate, dup [rows, F] at the pairs' rows, dgate and dup in the
/// precision P of the products they go into.
void gate_backward(Device& device, Activation activation, ConstTensorView gate, ConstTensorView up,
                   ConstTensorView dout, std::span<const PairedRows> pairs, TensorView dgate,
                   TensorView dup);

/// gate_backward() on other devices than the processor.
struct GateBackwardKernel
    : Operation<GateBackwardKernel, Activation, ConstTensorView, ConstTensorView, ConstTensorView,
                std::span<const PairedRows>, TensorView, TensorView> {};

}  // namespace longshadow
