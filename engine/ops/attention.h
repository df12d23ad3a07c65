#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/heads.h"
#include "engine/ops/removed_columns.h"

namespace longshadow {

/// H query heads of size d share K key-value heads in groups of H / K.
struct AttentionShape {
  std::size_t n_heads;
  std::size_t n_kv_heads;
  std::size_t head_dim;

  std::size_t group_size() const { return n_heads / n_kv_heads; }
  std::size_t kv_head_of(std::size_t head) const { return head / group_size(); }
  /// What a score q.k is multiplied with: 1 / sqrt(d).
  template <class T>
  T score_scale() const {
    return static_cast<T>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  }
};

/// Keys and values of consecutive positions, K heads of size d.
template <class T>
struct KeysValues {
  HeadRows<T> keys;
  HeadRows<T> values;

  operator KeysValues<const T>() const requires(!std::is_const_v<T>) { return {keys, values}; }
};

/// Rows of one batch that follow one another in one text: they see the prefix, without what was
/// removed from it, and each other causally.
struct Stream {
  std::size_t first_row;
  std::size_t n_rows;
  std::size_t prefix;                         ///< prefix columns [0, prefix) are seen
  std::span<const RemovedColumns> removed{};  ///< of the prefix, by KV head; empty: nothing
  /// Where KV heads see different numbers of columns: which rows of the prefix, counted over all
  /// its heads, each sees instead. Empty: the first `prefix` rows of its own.
  std::span<const Range> ragged_prefix{};
};

/// The order in which a row's prefix columns are summed. Reversed, in narrow tiles from the last to
/// the first, nothing changes but the rounding, which is how the noise floor is measured.
enum class ColumnOrder { forward, reversed };

/// Softmax attention of grouped-query heads, in tiles with a running maximum (Milakov and
/// Gimelshein 2018, arXiv 1805.02867), so that no row's scores exist as a whole.
///   queries, H heads; prefix, shared by all streams (of one head with any rows where they are
///   ragged), and own, one row per query row;
///   out [rows, H d]; log_normalisers [rows, H], log of the sum of exp(score).
/// Head rows must have kRowTile readable, finite rows beyond the last one used, because tiles have
/// fixed shapes; what such rows hold never reaches the result.
template <class Device, class T>
void attention(Device& device, const AttentionShape& shape, HeadRows<const T> queries,
               KeysValues<const T> prefix, KeysValues<const T> own, std::span<const Stream> streams,
               MatrixView<T> out, MatrixView<T> log_normalisers,
               ColumnOrder order = ColumnOrder::forward);

}  // namespace longshadow
