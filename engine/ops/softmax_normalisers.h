#pragma once

#include <cstddef>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/attention.h"

namespace longshadow {

/// What a softmax over the first `columns` keys, and no others, is normalised by: for each of the
/// first `rows` queries and each head, the log of the sum of exp(score) over these keys, all of
/// which every query sees.
///   queries, H heads; keys, K heads; log_normalisers [rows, H].
/// Head rows must have kRowTile readable, finite rows beyond the last one used, as for attention().
template <class T>
void softmax_normalisers(Cpu& device, const AttentionShape& shape, HeadRows<const T> queries,
                         std::size_t rows, HeadRows<const T> keys, std::size_t columns,
                         MatrixView<T> log_normalisers);
template <class T>
void softmax_normalisers(Cuda& device, const AttentionShape& shape, HeadRows<const T> queries,
                         std::size_t rows, HeadRows<const T> keys, std::size_t columns,
                         MatrixView<T> log_normalisers);

template <class T>
void check_softmax_normalisers(const AttentionShape& shape, HeadRows<const T> queries,
                               std::size_t rows, HeadRows<const T> keys, std::size_t columns,
                               MatrixView<T> log_normalisers) {
  constexpr const char* kName = "softmax_normalisers";
  require_attention_shape(kName, shape);
  require_at_least(kName, "columns", columns, 1);
  require_heads(kName, "queries", queries, shape.n_heads, rows + kRowTile, shape.head_dim);
  require_heads(kName, "keys", keys, shape.n_kv_heads, columns + kRowTile, shape.head_dim);
  require_rows(kName, "log_normalisers", log_normalisers, rows, shape.n_heads);
}

}  // namespace longshadow
