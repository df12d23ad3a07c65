#pragma once

#include <cstddef>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/attention.h"

namespace longshadow {

/// Adds, for every context column j and KV head, what a chunk of queries attends to it: the softmax
/// rows' entries, summed over the chunk's queries and averaged over the query heads of the KV head.
///   queries, H heads, at positions first_position + row, of which the first used_rows count;
///   keys, K heads, those of the queries included; log_normalisers [rows, H] from
///   attention(); all_queries and window_queries [K, columns] f64: window_queries receives only
///   queries at positions >= window_begin.
template <class Device, class T>
void add_attention_received(Device& device, const AttentionShape& shape, HeadRows<const T> queries,
                            std::size_t first_position, std::size_t used_rows,
                            HeadRows<const T> keys, MatrixView<const T> log_normalisers,
                            std::size_t window_begin, MatrixView<double> all_queries,
                            MatrixView<double> window_queries);

}  // namespace longshadow
