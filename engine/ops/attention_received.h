#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/attention.h"

namespace longshadow {

/// Adds, for every context column j and KV head, what a chunk of queries attends to it: the softmax
/// rows' entries, summed over the chunk's queries and averaged over the query heads of the KV head.
///   queries, H heads, at positions first_position + row, of which the first used_rows count;
///   keys, K heads, those of the queries included; log_normalisers [rows, H] from
///   attention(); all_queries and window_queries [K, columns] f64: window_queries receives only
///   queries at positions >= window_begin.
template <class T>
void add_attention_received(Cpu& device, const AttentionShape& shape, HeadRows<const T> queries,
                            std::size_t first_position, std::size_t used_rows,
                            HeadRows<const T> keys, MatrixView<const T> log_normalisers,
                            std::size_t window_begin, MatrixView<double> all_queries,
                            MatrixView<double> window_queries);
template <class T>
void add_attention_received(Cuda& device, const AttentionShape& shape, HeadRows<const T> queries,
                            std::size_t first_position, std::size_t used_rows,
                            HeadRows<const T> keys, MatrixView<const T> log_normalisers,
                            std::size_t window_begin, MatrixView<double> all_queries,
                            MatrixView<double> window_queries);

template <class T>
void check_add_attention_received(const AttentionShape& shape, HeadRows<const T> queries,
                                  std::size_t first_position, std::size_t used_rows,
                                  HeadRows<const T> keys, MatrixView<const T> log_normalisers,
                                  MatrixView<double> all_queries,
                                  MatrixView<double> window_queries) {
  constexpr const char* kName = "add_attention_received";
  require_attention_shape(kName, shape);
  require_heads(kName, "queries", queries, shape.n_heads, used_rows, shape.head_dim);
  require_rows(kName, "log_normalisers", log_normalisers, used_rows, shape.n_heads);
  require_shape(kName, "all_queries", all_queries, shape.n_kv_heads, all_queries.cols);
  require_shape(kName, "window_queries", window_queries, shape.n_kv_heads, all_queries.cols);
  require_heads(kName, "keys", keys, shape.n_kv_heads,
                std::min(first_position + used_rows, all_queries.cols), shape.head_dim);
}

}  // namespace longshadow
