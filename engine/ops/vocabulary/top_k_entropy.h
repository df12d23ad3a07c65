#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// Nats: for each row the entropy of the k likeliest of its logits, capped as capped_logit() does
/// and renormalised among themselves: what a policy's scores need of the predictions, without an
/// exponential but theirs. A cap leaves the order of logits as it is.
///   hidden [rows, D], rows a multiple of kRowTile; packed_output [V, D]; entropies: of the first
///   entropies.size() <= rows rows. 1 <= k <= V.
void entropies_of_top_k(Device& device, ConstTensorView hidden, const PackedWeights& packed_output,
                        double logit_cap, std::size_t k, std::span<float> entropies);

inline void check_entropies_of_top_k(const char* operation, ConstTensorView hidden,
                                     const PackedWeights& packed_output, std::size_t k,
                                     std::span<float> entropies) {
  require_shape(operation, "hidden", hidden, hidden.rows, packed_output.inputs());
  require_multiple(operation, "hidden.rows", hidden.rows, kRowTile);
  require_at_most(operation, "entropies.size()", entropies.size(), hidden.rows);
  require_at_least(operation, "k", k, 1);
  require_at_most(operation, "k", k, packed_output.outputs());
}

/// The output matrix in bytes, each token's row over a scale of its own: exact enough to say which
/// tokens may be among the likeliest, at a quarter of the f32 product's time (has_byte_products()).
struct ScreeningOutput {
  std::vector<float> scales;  ///< [V, and to a multiple of kOutputMultiple zeros]
  PackedWeights packed;       ///< [V, D]

  /// output [V, D]
  ScreeningOutput(Cpu& cpu, MatrixView<const float> output);
};

/// Candidates that screening keeps to find the k likeliest tokens among. Bytes move a logit by some
/// hundredths of the logits' spread: few tokens change their rank by half of k, and for a small k
/// by 40.
constexpr std::size_t screened_candidates(std::size_t k) { return k + 40 + k / 2; }

/// Computes the same entropies, where products of bytes choose screened_candidates(k) tokens a row
/// and the k likeliest are those of the largest exact logits among them. A token that the bytes
/// miss makes the entropy wrong by what its share of the k weighs.
///   output [V, D]: what `screening` was made of.
void screened_entropies_of_top_k(Cpu& device, MatrixView<const float> hidden,
                                 MatrixView<const float> output, const ScreeningOutput& screening,
                                 double logit_cap, std::size_t k, std::span<float> entropies);

/// entropies_of_top_k() on other devices than the processor.
struct EntropiesOfTopKKernel
    : Operation<EntropiesOfTopKKernel, ConstTensorView, const PackedWeights&, double, std::size_t,
                std::span<float>> {};

}  // namespace longshadow
