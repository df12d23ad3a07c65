#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// The full pass's predictive distributions.
template <class T>
struct FullPredictions {
  MatrixView<const T> hidden;               ///< [rows, D] after the final norm, padded by kRowTile
  std::span<const double> log_normalisers;  ///< [rows]
  std::span<const std::int32_t> likeliest;  ///< [rows]
};

/// FullPredictions whose elements' type is known when the program runs.
struct FullPredictionsView {
  ConstTensorView hidden;
  std::span<const double> log_normalisers;
  std::span<const std::int32_t> likeliest;

  template <class T>
  FullPredictions<T> as() const {
    return {hidden.as<T>(), log_normalisers, likeliest};
  }
};

/// The output matrix [V, D] as it is and packed for either product, V tiles alike, and the cap of
/// the logits that capped_logit() takes, 0 for none.
template <class T>
struct OutputWeights {
  MatrixView<const T> rows;
  const PackedWeights& packed;
  const PackedWeights& delta_packed;
  double logit_cap = 0;
};

/// OutputWeights whose elements' type is known when the program runs.
struct OutputWeightsView {
  ConstTensorView rows;
  const PackedWeights& packed;
  const PackedWeights& delta_packed;
  double logit_cap = 0;

  template <class T>
  OutputWeights<T> as() const {
    return {rows.as<T>(), packed, delta_packed, logit_cap};
  }
};

/// KL(p_full || p_evicted) in nats for every row of every stream, from the change that an eviction
/// makes to the final hidden state; the vocabulary passes by in tiles.
///
/// With d the change of the logits, output delta or what capped_logit_change() makes of it, and c =
/// d - a for a constant a near E_p[d] (d at the likeliest token), S = E_p[e^c - 1 - c] and r =
/// E_p[c]: KL = log1p(S + r) - r. Nothing of the size of a logit is subtracted, so the result is as
/// exact as delta is.
///   output [V, D], its product with the full pass's hidden states in T and that with delta in P;
///   delta [rows, D] padded by kRowTile; kl_nats [rows], written at the streams' rows.
void kl_divergence(Device& device, const OutputWeightsView& output, const FullPredictionsView& full,
                   ConstTensorView delta, std::span<const PairedRows> streams,
                   std::span<double> kl_nats);

/// The sums over a part of the vocabulary that the divergence of a row is made of, with c and p as
/// above.
struct KlMoments {
  double mass = 0;       ///< of p
  double linear = 0;     ///< of p c
  double remainder = 0;  ///< of p (e^c - 1 - c)

  void operator+=(const KlMoments& other) {
    mass += other.mass;
    linear += other.linear;
    remainder += other.remainder;
  }
  double kl_nats() const {
    const double r = linear / mass;
    return std::log1p(remainder / mass + r) - r;
  }
};

/// Requires hidden states of `hidden_size` for all predictions, and the rows that tiles read
/// beyond.
inline void require_full_predictions(const char* operation, const FullPredictionsView& full,
                                     std::size_t hidden_size) {
  require_rows(operation, "full.hidden", full.hidden, full.log_normalisers.size() + kRowTile,
               hidden_size);
}

/// kl_divergence() on other devices than the processor.
struct KlDivergenceKernel
    : Operation<KlDivergenceKernel, const OutputWeightsView&, const FullPredictionsView&,
                ConstTensorView, std::span<const PairedRows>, std::span<double>> {};

}  // namespace longshadow
