#pragma once

#include <cstddef>
#include <span>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/attention.h"

namespace longshadow {

/// What the full pass's attention computed in one layer, for full rows [0, rows) that stand for
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
template <class Device, class T, class P>
void attention_delta(Device& device, const AttentionShape& shape, const FullAttention<T, P>& full,
                     HeadRows<const P> dq, HeadRows<const T> dk, HeadRows<const P> dv,
                     std::span<const DeltaStream> streams, MatrixView<P> out);

}  // namespace longshadow
