#pragma once

#include <cstddef>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/attention.h"

namespace longshadow {

/// Raises, for every query head and every one of the first C keys, the largest softmax entry seen
/// so far to the largest that the first `rows` queries give to the key:
///   largest(h, j) = max(largest(h, j), max over i of e^(q_hi.k_j / sqrt(d) - log_normaliser(i,
///   h))).
/// Every query sees all C keys; the softmax may go over others besides, which its normaliser says.
/// A query's entries are all divided by x where log x is added to its normaliser. NaN stays.
///   queries, H heads; keys, K heads; log_normalisers [rows, H]; largest [H, C] f64.
/// Head rows must have kRowTile readable, finite rows beyond the last one used, as for attention().
template <class T>
void raise_largest_attention(Cpu& device, const AttentionShape& shape, HeadRows<const T> queries,
                             std::size_t rows, HeadRows<const T> keys,
                             MatrixView<const T> log_normalisers, MatrixView<double> largest);
template <class T>
void raise_largest_attention(Cuda& device, const AttentionShape& shape, HeadRows<const T> queries,
                             std::size_t rows, HeadRows<const T> keys,
                             MatrixView<const T> log_normalisers, MatrixView<double> largest);

template <class T>
void check_raise_largest_attention(const AttentionShape& shape, HeadRows<const T> queries,
                                   std::size_t rows, HeadRows<const T> keys,
                                   MatrixView<const T> log_normalisers,
                                   MatrixView<double> largest) {
  constexpr const char* kName = "raise_largest_attention";
  require_attention_shape(kName, shape);
  require_shape(kName, "largest", largest, shape.n_heads, largest.cols);
  require_rows(kName, "log_normalisers", log_normalisers, rows, shape.n_heads);
  // `queries` and `keys` may be parts of a batch's or a cache's heads, which begin at a later row.
  require_heads(kName, "queries", queries, shape.n_heads, rows, shape.head_dim);
  require_heads(kName, "keys", keys, shape.n_kv_heads, largest.cols, shape.head_dim);
}

}  // namespace longshadow
