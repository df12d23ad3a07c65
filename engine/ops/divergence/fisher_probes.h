#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"
#include "engine/ops/divergence/kl_divergence.h"

namespace longshadow {

/// How a random direction v over the vocabulary is drawn. Both have mean 0 and the covariance of
/// log p's gradient at the logits, diag(p) - p pᵀ.
enum class ProbeKind {
  sampled,  ///< v = ±(e_y - p) for a token y ~ p
  signs,    ///< v = sqrt(p) r - p (sqrt(p).r) with signs r = ±1 over the whole vocabulary
};

/// Stream b of a call is draw first_draw + b. A draw's values at a row depend on the seed, the
/// draw's number and the full row alone: the sign of token v is bit v % 64 of RandomBits' word
/// v / 64, a sampled token comes from word 0 and its sign from word 1.
struct ProbeDraws {
  ProbeKind kind;
  std::uint64_t seed;
  std::size_t first_draw;
};

/// The output matrix [V, D] as it is, packed, and tile by tile of that packing transposed, each
/// [D, padded width] with zeros beyond its tokens, in the precision P of the products with p and v.
/// On a CUDA device there is one tile, of all tokens. Logits have the cap that capped_logit()
/// takes, 0 for none.
template <class T>
struct ProbedOutput {
  MatrixView<const T> rows;
  const PackedWeights& packed;
  std::span<const PackedWeights> transposed;
  double logit_cap = 0;
};

/// ProbedOutput whose elements' type is known when the program runs.
struct ProbedOutputView {
  ConstTensorView rows;
  const PackedWeights& packed;
  std::span<const PackedWeights> transposed;
  double logit_cap = 0;

  template <class T>
  ProbedOutput<T> as() const {
    return {rows.as<T>(), packed, transposed, logit_cap};
  }
};

/// to = outputᵀ v, the gradient that a random direction v at the logits is at the final hidden
/// state, for every row of every stream; the vocabulary passes by in tiles. Where logits are
/// capped, v lies behind the cap and its elements are multiplied by capped_logit_slope() on the
/// way.
///   all streams have the same full rows; to [rows, D], written at the streams' rows.
void fisher_probes(Device& device, const ProbedOutputView& output, const FullPredictionsView& full,
                   const ProbeDraws& draws, std::span<const PairedRows> streams, TensorView to);

/// fisher_probes() on other devices than the processor.
struct FisherProbesKernel
    : Operation<FisherProbesKernel, const ProbedOutputView&, const FullPredictionsView&,
                const ProbeDraws&, std::span<const PairedRows>, TensorView> {};

}  // namespace longshadow
