#pragma once

#include <span>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The gradients that silu(gate) up hands back, sigma(g) = 1 / (1 + e^-g):
///   dgate = dout up sigma (1 + gate (1 - sigma)),   dup = dout gate sigma.
/// gate, up [full rows, F]; dout, dgate, dup [rows, F] at the pairs' rows, dgate and dup in the
/// precision P of the products they go into.
template <class Device, class T, class P>
void silu_gate_backward(Device& device, MatrixView<const T> gate, MatrixView<const T> up,
                        MatrixView<const T> dout, std::span<const PairedRows> pairs,
                        MatrixView<P> dgate, MatrixView<P> dup);

}  // namespace longshadow
