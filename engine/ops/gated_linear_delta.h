#pragma once

#include <span>

#include "engine/backend/devices.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
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
template <class T, class P>
void gated_linear_delta(Cpu& device, MatrixView<const P> dx, const GatedLinear<T, P>& full,
                        std::span<const PairedRows> pairs, MatrixView<P> out);
template <class T, class P>
void gated_linear_delta(Cuda& device, MatrixView<const P> dx, const GatedLinear<T, P>& full,
                        std::span<const PairedRows> pairs, MatrixView<P> out);

template <class T, class P>
void check_gated_linear_delta(MatrixView<const P> dx, const GatedLinear<T, P>& full,
                              std::span<const PairedRows> pairs, MatrixView<P> out) {
  if constexpr (kContracts) {
    constexpr const char* kName = "gated_linear_delta";
    const std::size_t outputs = full.gate_weights.outputs();
    require_multiple(kName, "dx.rows", dx.rows, kRowTile);
    require_at_least(kName, "dx.rows", dx.rows, kRowTile);
    require_shape(kName, "dx", dx, dx.rows, full.gate_weights.inputs());
    require_weights(kName, "up_weights", full.up_weights, outputs, full.gate_weights.inputs());
    require_shape(kName, "gate", full.gate, full.gate.rows, outputs);
    require_shape(kName, "up", full.up, full.gate.rows, outputs);
    require_shape(kName, "out", out, dx.rows, outputs);
    require_pairs(kName, pairs, full.gate.rows, dx.rows);
    std::size_t end = 0;
    for (const PairedRows& pair : pairs) {
      require_at_least(kName, "a pair's first_row", pair.first_row, end);
      end = pair.first_row + pair.n_rows;
    }
  }
}

}  // namespace longshadow
