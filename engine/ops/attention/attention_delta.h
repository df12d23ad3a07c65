#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"

namespace longshadow {

/// The full pass's attention in one layer, for full rows [0, rows) that stand for
/// consecutive positions, and its keys and values at all positions.
template <class T, class P>
struct FullAttention {
  HeadRows<const T> queries;            ///< H heads, rotated
  MatrixView<const T> log_normalisers;  ///< [rows, H]
  MatrixView<const T> attended;         ///< [rows, H d]
  KeysValues<const T> cache;
  KeysValues<const P> rounded_cache;  ///< the same in the precision of the delta products
  /// Tiles of kRowTile positions before full row 0 that are cut as if they were full rows too: sums
  /// then have the same bits as if they were.
  std::size_t row_tiles_before = 0;
};

/// FullAttention whose elements' types are known when the program runs.
struct FullAttentionView {
  ConstHeadsView queries;
  ConstTensorView log_normalisers;
  ConstTensorView attended;
  KeysValuesView cache;
  KeysValuesView rounded_cache;
  std::size_t row_tiles_before = 0;

  template <class T, class P>
  FullAttention<T, P> as() const {
    return {queries.as<T>(), log_normalisers.as<T>(), attended.as<T>(),
            cache.as<T>(),   rounded_cache.as<P>(),   row_tiles_before};
  }
  /// The types of the pass and of its products.
  Element pass() const { return cache.keys.element; }
  Element product() const { return rounded_cache.keys.element; }
};

/// Rows of one counterfactual: position prefix + r is batch row first_row + r and full row
/// full_row + r.
struct DeltaStream {
  std::size_t first_row;
  std::size_t n_rows;
  std::size_t full_row;
  std::size_t prefix;
  std::span<const RemovedColumns> removed{};  ///< of the prefix, by KV head; empty: nothing
};

/// The exact change of attention's result when columns are removed and queries, own keys and own
/// values change by dq, dk, dv. With p the full pass's softmax row, ds the scores' change and
/// e = expm1(ds) (e = -1 on removed columns), z = sum p e:
///   do = (sum p e v + sum p (1 + e) dv - z o) / (1 + z),
/// and where removed columns held most of the attention (1 + z < 1/2), which that form would lose
/// digits on, do = sum p (1 + e) (v + dv) / (1 + z) - o.
/// Products with deltas run in precision P (f32 sums); p is recomputed in T, once for all streams
/// that have rows at the same positions.
///   dq, dk, dv: rows of the batch; out [rows, H d], written at the streams' rows, in the
///   precision P of the product it goes into.
void attention_delta(Device& device, const AttentionShape& shape, const FullAttentionView& full,
                     ConstHeadsView dq, ConstHeadsView dk, ConstHeadsView dv,
                     std::span<const DeltaStream> streams, TensorView out);

/// Requires what a full pass of `shape` keeps of full.attended.rows rows, and its keys and values
/// at `columns` positions or more.
inline void require_full_attention(const char* operation, const AttentionShape& shape,
                                   const FullAttentionView& full, std::size_t columns) {
  require_attention_shape(operation, shape);
  const std::size_t rows = full.attended.rows;
  require_shape(operation, "full.attended", full.attended, rows, shape.n_heads * shape.head_dim);
  require_rows(operation, "full.log_normalisers", full.log_normalisers, rows, shape.n_heads);
  require_heads(operation, "full.queries", full.queries, shape.n_heads, rows, shape.head_dim);
  require_keys_values(operation, full.cache, shape.n_kv_heads, columns, shape.head_dim);
  require_keys_values(operation, full.rounded_cache, shape.n_kv_heads, columns, shape.head_dim);
}

/// attention_delta() on other devices than the processor.
struct AttentionDeltaKernel : Operation<AttentionDeltaKernel, const AttentionShape&,
                                        const FullAttentionView&, ConstHeadsView, ConstHeadsView,
                                        ConstHeadsView, std::span<const DeltaStream>, TensorView> {
};

}  // namespace longshadow
