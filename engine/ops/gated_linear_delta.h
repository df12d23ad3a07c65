#pragma once

#include <span>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The first half of a gated feed-forward block, by what goes in and what came of it:
/// W_gate, W_up [F, D], and the full pass's gate and up [full rows, F].
template <class T, class P>
struct GatedLinear {
  const PackedWeights<P>& gate_weights;
  const PackedWeights<P>& up_weights;
  MatrixView<const T> gate;
  MatrixView<const T> up;
};

/// The exact change of silu(gate) up when the rows that gate and up are products of change by dx
/// [rows, D]: silu_gate_delta() of dgate = dx W_gateᵀ and dup = dx W_upᵀ, which exist as tiles
/// only. rows is a multiple of kRowTile; out [rows, F] at the pairs' rows, which follow one another
/// in dx, in the precision P of the product it goes into.
template <class Device, class T, class P>
void gated_linear_delta(Device& device, MatrixView<const P> dx, const GatedLinear<T, P>& full,
                        std::span<const PairedRows> pairs, MatrixView<P> out);

}  // namespace longshadow
