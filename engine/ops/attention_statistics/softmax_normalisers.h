#pragma once

#include <cstddef>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"

namespace longshadow {

/// Computes what a softmax over the first `columns` keys, and no others, is normalised by: for each
/// of the first `rows` queries and each head, the log of the sum of exp(score) over these keys, all
/// of which every query sees.
///   queries, H heads; keys, K heads; log_normalisers [rows, H].
/// Head rows must have kRowTile readable, finite rows beyond the last one used, as for attention().
void softmax_normalisers(Device& device, const AttentionShape& shape, ConstHeadsView queries,
                         std::size_t rows, ConstHeadsView keys, std::size_t columns,
                         TensorView log_normalisers);

/// softmax_normalisers() on other devices than the processor.
struct SoftmaxNormalisersKernel
    : Operation<SoftmaxNormalisersKernel, const AttentionShape&, ConstHeadsView, std::size_t,
                ConstHeadsView, std::size_t, TensorView> {};

}  // namespace longshadow
