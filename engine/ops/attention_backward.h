#pragma once

#include <span>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/attention_delta.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The least that a column is taken to leave of the attention, in 1 - p.
template <class T>
inline constexpr T kLeastKept = sizeof(T) == 4 ? T(1e-4) : T(1e-10);

/// Beyond this p, dp - dout.o cancels too far for a rounded dp: ds / (1 - p) would be its noise.
template <class T>
inline constexpr T kHeavy = T(1.0 / 16);

/// Gradients at what attention reads, in rows of a batch, before the rotation is undone.
template <class T, class P>
struct AttentionGradients {
  MatrixView<T> queries;  ///< [rows, H d]
  MatrixView<T> keys;     ///< [rows, K d], of the rows' own keys
  MatrixView<P> values;   ///< [rows, K d], in the precision of the product they go into
  /// [streams K, prefix], stream by stream: what prefix columns bring, one at a time, along dout:
  /// dout.(o - o without the column), summed over the stream's rows and the KV head's query heads.
  MatrixView<T> removals;
};

/// Takes gradients dout at attention's result back. With p the softmax row, o the result and
/// dp = dout vᵀ, the score's gradient is ds = p (dp - dout.o), and the gate's is the column's sum
/// of ds, because g exp(s) = exp(s + log g). p is recomputed in T from the full pass's log
/// normalisers, once for all streams; products with gradients run in precision P (sums in T).
/// Streams are gradients of the same rows: all have the same full rows, at positions prefix,
/// prefix + 1, ..., and see the prefix and each other causally.
///   dout, H heads of batch rows, with kRowTile readable, finite rows beyond the last one used.
template <class T, class P>
void attention_backward(Cpu& device, const AttentionShape& shape, const FullAttention<T, P>& full,
                        std::size_t prefix, HeadRows<const T> dout,
                        std::span<const PairedRows> streams,
                        const AttentionGradients<T, P>& gradients);
template <class T, class P>
void attention_backward(Cuda& device, const AttentionShape& shape, const FullAttention<T, P>& full,
                        std::size_t prefix, HeadRows<const T> dout,
                        std::span<const PairedRows> streams,
                        const AttentionGradients<T, P>& gradients);

template <class T, class P>
void check_attention_backward(const AttentionShape& shape, const FullAttention<T, P>& full,
                              std::size_t prefix, HeadRows<const T> dout,
                              std::span<const PairedRows> streams,
                              const AttentionGradients<T, P>& gradients) {
  if constexpr (kContracts) {
    constexpr const char* kName = "attention_backward";
    require_same_full_rows(kName, streams);
    require_full_attention(kName, shape, full, prefix + streams.front().n_rows);
    const std::size_t rows = gradients.queries.rows;
    const std::size_t kv_width = shape.n_kv_heads * shape.head_dim;
    require_pairs(kName, streams, full.attended.rows, rows);
    for (const PairedRows& stream : streams) {
      require_heads(kName, "dout", dout, shape.n_heads, stream.first_row + stream.n_rows + kRowTile,
                    shape.head_dim);
    }
    require_shape(kName, "gradients.queries", gradients.queries, rows,
                  shape.n_heads * shape.head_dim);
    require_shape(kName, "gradients.keys", gradients.keys, rows, kv_width);
    require_shape(kName, "gradients.values", gradients.values, rows, kv_width);
    require_shape(kName, "gradients.removals", gradients.removals,
                  streams.size() * shape.n_kv_heads, prefix);
  }
}

}  // namespace longshadow
