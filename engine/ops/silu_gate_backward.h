#pragma once

#include <span>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The gradients that silu(gate) up hands back, sigma(g) = 1 / (1 + e^-g):
///   dgate = dout up sigma (1 + gate (1 - sigma)),   dup = dout gate sigma.
/// gate, up [full rows, F]; dout, dgate, dup [rows, F] at the pairs' rows, dgate and dup in the
/// precision P of the products they go into.
template <class T, class P>
void silu_gate_backward(Cpu& device, MatrixView<const T> gate, MatrixView<const T> up,
                        MatrixView<const T> dout, std::span<const PairedRows> pairs,
                        MatrixView<P> dgate, MatrixView<P> dup);
template <class T, class P>
void silu_gate_backward(Cuda& device, MatrixView<const T> gate, MatrixView<const T> up,
                        MatrixView<const T> dout, std::span<const PairedRows> pairs,
                        MatrixView<P> dgate, MatrixView<P> dup);

template <class T, class P>
void check_silu_gate_backward(MatrixView<const T> gate, MatrixView<const T> up,
                              MatrixView<const T> dout, std::span<const PairedRows> pairs,
                              MatrixView<P> dgate, MatrixView<P> dup) {
  constexpr const char* kName = "silu_gate_backward";
  require_shape(kName, "up", up, gate.rows, gate.cols);
  require_shape(kName, "dout", dout, dout.rows, gate.cols);
  require_shape(kName, "dgate", dgate, dout.rows, gate.cols);
  require_shape(kName, "dup", dup, dout.rows, gate.cols);
  require_pairs(kName, pairs, gate.rows, dout.rows);
}

}  // namespace longshadow
