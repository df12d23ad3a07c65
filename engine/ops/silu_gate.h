#pragma once

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// out = silu(gate) * up, silu(g) = g / (1 + e^-g) (SwiGLU: Shazeer 2020, arXiv 2002.05202).
/// All [rows, F]; out may be gate.
template <class T>
void silu_gate(Cpu& device, MatrixView<const T> gate, MatrixView<const T> up, MatrixView<T> out);
template <class T>
void silu_gate(Cuda& device, MatrixView<const T> gate, MatrixView<const T> up, MatrixView<T> out);

template <class T>
void check_silu_gate(MatrixView<const T> gate, MatrixView<const T> up, MatrixView<T> out) {
  require_shape("silu_gate", "up", up, gate.rows, gate.cols);
  require_shape("silu_gate", "out", out, gate.rows, gate.cols);
}

}  // namespace longshadow
