#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"

namespace longshadow {

/// Adds, for every context column j and KV head, what a chunk of queries attends to it: the softmax
/// rows' entries, summed over the chunk's queries and averaged over the query heads of the KV head.
/// Queries see what the shape's window lets them.
///   queries, H heads, at positions first_position + row, of which the first used_rows count;
///   keys, K heads, those of the queries included; log_normalisers [rows, H] from
///   attention(); all_queries and window_queries [K, columns] f64: window_queries receives only
///   queries at positions >= window_begin.
void add_attention_received(Device& device, const AttentionShape& shape, ConstHeadsView queries,
                            std::size_t first_position, std::size_t used_rows, ConstHeadsView keys,
                            ConstTensorView log_normalisers, std::size_t window_begin,
                            MatrixView<double> all_queries, MatrixView<double> window_queries);

/// add_attention_received() on other devices than the processor.
struct AddAttentionReceivedKernel
    : Operation<AddAttentionReceivedKernel, const AttentionShape&, ConstHeadsView, std::size_t,
                std::size_t, ConstHeadsView, ConstTensorView, std::size_t, MatrixView<double>,
                MatrixView<double>> {};

}  // namespace longshadow
