#pragma once

#include "engine/backend/operation.h"
#include "engine/core/activation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// out = act(gate) * up (gated linear units: Shazeer 2020, arXiv 2002.05202). All [rows, F]; out
/// may be gate.
void apply_gate(Device& device, Activation activation, ConstTensorView gate, ConstTensorView up,
                TensorView out);

/// apply_gate() on other devices than the processor.
struct GateKernel
    : Operation<GateKernel, Activation, ConstTensorView, ConstTensorView, TensorView> {};

}  // namespace longshadow
