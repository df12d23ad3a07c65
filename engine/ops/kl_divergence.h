#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The full pass's predictive distributions.
template <class T>
struct FullPredictions {
  MatrixView<const T> hidden;               ///< [rows, D] after the final norm, padded by kRowTile
  std::span<const double> log_normalisers;  ///< [rows]
  std::span<const std::int32_t> likeliest;  ///< [rows]
};

/// The output matrix [V, D] as it is and packed for either product; V tiles alike.
template <class T, class P>
struct OutputWeights {
  MatrixView<const T> rows;
  const PackedWeights<T>& packed;
  const PackedWeights<P>& delta_packed;
};

/// KL(p_full || p_evicted) in nats for every row of every stream, from the change that an eviction
/// makes to the final hidden state; the vocabulary passes by in tiles.
///
/// With d = output delta the change of the logits and c = d - a for a constant a near E_p[d] (d at
/// the likeliest token), S = E_p[e^c - 1 - c] and r = E_p[c]: KL = log1p(S + r) - r. Nothing of the
/// size of a logit is subtracted, so the result is as exact as delta is.
///   output [V, D], its product with the full pass's hidden states in T and that with delta in P;
///   delta [rows, D] padded by kRowTile; kl_nats [rows], written at the streams' rows.
template <class Device, class T, class P>
void kl_divergence(Device& device, const OutputWeights<T, P>& output,
                   const FullPredictions<T>& full, MatrixView<const P> delta,
                   std::span<const PairedRows> streams, std::span<double> kl_nats);

}  // namespace longshadow
