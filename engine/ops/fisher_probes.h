#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/devices.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/kl_divergence.h"
#include "engine/ops/paired_rows.h"

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
/// On a CUDA device there is one tile, of all tokens.
template <class T, class P>
struct ProbedOutput {
  MatrixView<const T> rows;
  const PackedWeights<T>& packed;
  std::span<const PackedWeights<P>> transposed;
};

/// to = outputᵀ v, the gradient that a random direction v at the logits is at the final hidden
/// state, for every row of every stream; the vocabulary passes by in tiles.
///   all streams have the same full rows; to [rows, D], written at the streams' rows.
template <class T, class P>
void fisher_probes(Cpu& device, const ProbedOutput<T, P>& output, const FullPredictions<T>& full,
                   const ProbeDraws& draws, std::span<const PairedRows> streams, MatrixView<T> to);
template <class T, class P>
void fisher_probes(Cuda& device, const ProbedOutput<T, P>& output, const FullPredictions<T>& full,
                   const ProbeDraws& draws, std::span<const PairedRows> streams, MatrixView<T> to);

template <class T, class P>
void check_fisher_probes(const ProbedOutput<T, P>& output, const FullPredictions<T>& full,
                         std::span<const PairedRows> streams, MatrixView<T> to) {
  if constexpr (kContracts) {
    constexpr const char* kName = "fisher_probes";
    require_weights(kName, "output.packed", output.packed, output.rows.rows, output.rows.cols);
    require_equal(kName, "output.transposed.size()", output.transposed.size(),
                  output.packed.n_tiles());
    require_full_predictions(kName, full, output.rows.cols);
    require_shape(kName, "to", to, to.rows, output.rows.cols);
    require_same_full_rows(kName, streams);
    require_pairs(kName, streams, full.log_normalisers.size(), to.rows);
  }
}

}  // namespace longshadow
