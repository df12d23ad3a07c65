#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/core/range.h"
#include "engine/model/full_pass.h"
#include "engine/model/weights.h"
#include "engine/ops/common/paired_rows.h"
#include "engine/ops/divergence/fisher_probes.h"
#include "probes/measure/activation_tape.h"

namespace longshadow {

/// The factors of the products with gradients, in their precision.
struct GradientWeights {
  const TransposedWeights& transposed;
  const KvCache& cache;  ///< the full pass's
};

/// Takes random directions at the predictions of the rows that follow a context back to gates on
/// the context's columns.
///
/// For every row from the context's end T on, a gate g_i takes attention's result from what it is
/// (g = 1) straight to what it is without column i (g = 0), in one layer and KV head or in all. To
/// second order in 1 - g, KL_j(g) = (1 - g)² / 2 E[(v_j . d logits_j / d g_i)²] with v_j a
/// direction of ProbeKind, and g = 0 evicts the token. What removal does to attention is exact in
/// this, however much of it the column held; what follows from it is linear. Context keys and
/// values are the full pass's, whatever g; the later rows' own ones are not, and gradients flow
/// through them.
class FisherSketch {
 public:
  /// References must outlive the object; the tape begins at T, the context's end, and the full
  /// pass's positions from there on are the future. At most `max_rows` rows go back at once, or
  /// those of one draw.
  FisherSketch(Device& device, const Weights& weights, const GradientWeights& gradient_weights,
               const FullPass& full, const ActivationTape& tape, std::size_t max_rows);

  /// Draws that one call of run() takes for a bin that ends at `bin_end`.
  std::size_t draws_at_once(std::size_t bin_end) const;

  /// `n_draws` draws of directions at the rows T + bin, independent between rows.
  ///   gates [L n_draws K, T]: the derivative along draw b with respect to the gate of layer l, KV
  ///   head h and column i, in row (l n_draws + b) K + h.
  void run(const Range& bin, const ProbeDraws& draws, std::size_t n_draws, TensorView gates);

 private:
  PassElements elements() const;
  /// Draw b of a bin [begin, end) has the batch rows [b end, (b + 1) end).
  GradientBatch rows_of(const Range& bin, std::size_t n_draws) const;

  Device& device_;
  const Weights& weights_;
  GradientWeights gradient_weights_;
  const FullPass& full_;
  const ActivationTape& tape_;
  std::size_t max_rows_;
  Tensor residual_;  ///< [padded rows, D], gradient of the residual stream
  Tensor normed_;    ///< [padded rows, D]
  Tensor rounded_;   ///< [padded rows, D], the residual's; no rows where products take it itself
  AttentionGradientRows attention_;
  SecondHalfGradients feed_forward_;
};

}  // namespace longshadow
