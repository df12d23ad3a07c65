#pragma once

#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// The gradients that silu(gate) up hands back, sigma(g) = 1 / (1 + e^-g):
///   dgate = dout up sigma (1 + gate (1 - sigma)),   dup = dout gate sigma.
/// gate, up [full rows, F]; dout, dgate, dup [rows, F] at the pairs' rows, dgate and dup in the
/// precision P of the products they go into.
void silu_gate_backward(Device& device, ConstTensorView gate, ConstTensorView up,
                        ConstTensorView dout, std::span<const PairedRows> pairs, TensorView dgate,
                        TensorView dup);

/// silu_gate_backward() on other devices than the processor.
struct SiluGateBackwardKernel
    : Operation<SiluGateBackwardKernel, ConstTensorView, ConstTensorView, ConstTensorView,
                std::span<const PairedRows>, TensorView, TensorView> {};

}  // namespace longshadow
