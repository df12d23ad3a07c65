#pragma once

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"

namespace longshadow {

/// out = silu(gate) * up, silu(g) = g / (1 + e^-g) (SwiGLU: Shazeer 2020, arXiv 2002.05202).
/// All [rows, F]; out may be gate.
template <class Device, class T>
void silu_gate(Device& device, MatrixView<const T> gate, MatrixView<const T> up, MatrixView<T> out);

}  // namespace longshadow
