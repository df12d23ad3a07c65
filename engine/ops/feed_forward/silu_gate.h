#pragma once

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// out = silu(gate) * up, silu(g) = g / (1 + e^-g) (SwiGLU: Shazeer 2020, arXiv 2002.05202).
/// All [rows, F]; out may be gate.
void silu_gate(Device& device, ConstTensorView gate, ConstTensorView up, TensorView out);

/// silu_gate() on other devices than the processor.
struct SiluGateKernel : Operation<SiluGateKernel, ConstTensorView, ConstTensorView, TensorView> {};

}  // namespace longshadow
