#pragma once

#include <span>

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/activation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// The first half of a gated feed-forward block, by what goes in and what came of it:
/// W_gate, W_up [F, D], and the full pass's gate and up [full rows, F].
template <class T>
struct GatedLinear {
  Activation activation;
  const PackedWeights& gate_weights;
  const PackedWeights& up_weights;
  MatrixView<const T> gate;
  MatrixView<const T> up;
};

/// GatedLinear whose elements' types are known when the program runs.
struct GatedLinearView {
  Activation activation;
  const PackedWeights& gate_weights;
  const PackedWeights& up_weights;
  ConstTensorView gate;
  ConstTensorView up;

  template <class T>
  GatedLinear<T> as() const {
    return {activation, gate_weights, up_weights, gate.as<T>(), up.as<T>()};
  }
};

/// The exact change of act(gate) up when the rows that gate and up are products of change by dx
/// [rows, D]: gate_delta() of dgate = dx W_gateᵀ and dup = dx W_upᵀ, which exist as tiles
/// only. rows is a multiple of kRowTile; out [rows, F] at the pairs' rows, which follow one another
/// in dx, in the precision P of the product it goes into.
void gated_linear_delta(Device& device, ConstTensorView dx, const GatedLinearView& full,
                        std::span<const PairedRows> pairs, TensorView out);

/// gated_linear_delta() on other devices than the processor.
struct GatedLinearDeltaKernel
    : Operation<GatedLinearDeltaKernel, ConstTensorView, const GatedLinearView&,
                std::span<const PairedRows>, TensorView> {};

}  // namespace longshadow
