#pragma once

#include <span>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The exact change of silu(gate) up when gate changes by dgate and up by dup:
///   sigma(g + dg) = sigma(g) / (sigma(g) + sigma(-g) e^-dg),
///   dsigma = -sigma(g + dg) sigma(-g) expm1(-dg),
///   dsilu = g dsigma + sigma(g + dg) dg,   result = dsilu up + silu(g + dg) dup.
/// gate, up [full rows, F]; dgate, dup, out [rows, F] at the pairs' rows; out in the precision P of
/// the product it goes into.
template <class Device, class T, class P>
void silu_gate_delta(Device& device, MatrixView<const T> gate, MatrixView<const T> up,
                     MatrixView<const T> dgate, MatrixView<const T> dup,
                     std::span<const PairedRows> pairs, MatrixView<P> out);

}  // namespace longshadow
