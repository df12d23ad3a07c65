#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// A summary of one row's predictive distribution over the vocabulary; nats.
struct Prediction {
  double log_normaliser = 0;  ///< log of the sum of exp(logit)
  double entropy = 0;
  double entropy_top_k = 0;     ///< of the k likeliest tokens, renormalised among themselves
  double target_surprisal = 0;  ///< -log p(target)
  std::int32_t likeliest = 0;   ///< the token of the largest logit, the lowest id among equals
};

/// Nats: the entropy of the k >= 1 likeliest of the logits, or of all where there are fewer,
/// renormalised among themselves. What is not a number is passed over, and NaN the entropy of
/// nothing else.
template <class T>
double entropy_of_top_k(std::span<const T> logits, std::size_t k);

/// Summarises softmax(hidden outputᵀ), the logits capped as capped_logit() does, row by row without
/// holding a row of logits. Where a logit is NaN, so is all that sums over the vocabulary;
/// entropy_top_k is as entropy_of_top_k() has it.
///   hidden [rows, D], rows a multiple of kRowTile; output [V, D], also packed; targets and
///   predictions: the first predictions.size() <= rows rows. 1 <= k <= V.
void predict(Device& device, ConstTensorView hidden, ConstTensorView output,
             const PackedWeights& packed_output, double logit_cap,
             std::span<const std::int32_t> targets, std::size_t k,
             std::span<Prediction> predictions);

/// predict() on other devices than the processor.
struct PredictKernel
    : Operation<PredictKernel, ConstTensorView, ConstTensorView, const PackedWeights&, double,
                std::span<const std::int32_t>, std::size_t, std::span<Prediction>> {};

}  // namespace longshadow
