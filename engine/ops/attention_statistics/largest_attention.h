#pragma once

#include <cstddef>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"

namespace longshadow {

/// Raises, for every query head and every one of the first C keys, the largest softmax entry seen
/// so far to the largest that the first `rows` queries give to the key:
///   largest(h, j) = max(largest(h, j), max over i of e^(q_hi.k_j / sqrt(d) - log_normaliser(i,
///   h))).
/// Every query sees all C keys; the softmax may go over others besides, which its normaliser says.
/// A query's entries are all divided by x where log x is added to its normaliser. NaN stays.
///   queries, H heads; keys, K heads; log_normalisers [rows, H]; largest [H, C] f64.
/// Head rows must have kRowTile readable, finite rows beyond the last one used, as for attention().
void raise_largest_attention(Device& device, const AttentionShape& shape, ConstHeadsView queries,
                             std::size_t rows, ConstHeadsView keys, ConstTensorView log_normalisers,
                             MatrixView<double> largest);

/// raise_largest_attention() on other devices than the processor.
struct RaiseLargestAttentionKernel
    : Operation<RaiseLargestAttentionKernel, const AttentionShape&, ConstHeadsView, std::size_t,
                ConstHeadsView, ConstTensorView, MatrixView<double>> {};

}  // namespace longshadow
