#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/operation.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/removed_columns.h"
#include "engine/ops/attention/score_form.h"
#include "engine/ops/projection/heads.h"

namespace longshadow {

/// H query heads of size d share K key-value heads in groups of H / K.
struct AttentionShape {
  std::size_t n_heads;
  std::size_t n_kv_heads;
  std::size_t head_dim;
  /// The tokens that a query sees at most, its own included; 0: all (Beltagy et al. 2020, arXiv
  /// 2004.05150, section 3.1).
  std::size_t window = 0;
  ScoreForm score{};

  std::size_t group_size() const { return n_heads / n_kv_heads; }
  std::size_t kv_head_of(std::size_t head) const { return head / group_size(); }
  /// The first position that a query at `position` sees.
  std::size_t first_seen(std::size_t position) const {
    return window != 0 && position >= window ? position + 1 - window : 0;
  }
  /// f
  template <class T>
  T product_scale() const {
    return static_cast<T>(score.factor(head_dim));
  }
  /// The factor of what stands for a product q.k before the softmax: of itself, or of
  /// tanh(cap_scale() q.k), which ScoreCap makes of it.
  template <class T>
  T score_scale() const {
    return score.cap != 0 ? static_cast<T>(score.cap) : product_scale<T>();
  }
  /// f / cap
  template <class T>
  T cap_scale() const {
    return static_cast<T>(product_scale<double>() / score.cap);
  }
};

/// Keys and values of consecutive positions, K heads of size d.
template <class T>
struct KeysValues {
  HeadRows<T> keys;
  HeadRows<T> values;

  operator KeysValues<const T>() const requires(!std::is_const_v<T>) { return {keys, values}; }
};

/// KeysValues whose elements' type is known when the program runs.
struct KeysValuesView {
  ConstHeadsView keys;
  ConstHeadsView values;

  template <class T>
  KeysValues<const T> as() const {
    return {keys.as<T>(), values.as<T>()};
  }
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
  /// Where a layer with a window does not show all of a ragged prefix to every row: the positions
  /// of the prefix's rows, over all its heads, ascending within each; and that of the stream's
  /// first row.
  std::span<const std::uint32_t> ragged_positions{};
  std::size_t first_position = 0;
};

/// The rows that a KV head sees of a prefix, `head_rows` to a head, counted over all heads.
inline Range prefix_rows(const Stream& stream, std::size_t kv_head, std::size_t head_rows) {
  if (!stream.ragged_prefix.empty()) return stream.ragged_prefix[kv_head];
  return {kv_head * head_rows, kv_head * head_rows + stream.prefix};
}

/// The first of the prefix columns that a KV head has which the stream's row r sees, counted among
/// them; all before it lie outside of the window. `head_rows` as prefix_rows() has it.
inline std::size_t first_seen_column(const AttentionShape& shape, const Stream& stream,
                                     std::size_t kv_head, std::size_t r, std::size_t head_rows) {
  if (shape.window == 0) return 0;
  if (stream.ragged_prefix.empty()) {
    return std::min(shape.first_seen(stream.prefix + r), stream.prefix);
  }
  if (stream.ragged_positions.empty()) return 0;
  const Range rows = prefix_rows(stream, kv_head, head_rows);
  const auto positions = stream.ragged_positions.subspan(rows.begin, rows.size());
  const std::size_t first = shape.first_seen(stream.first_position + r);
  return static_cast<std::size_t>(std::ranges::lower_bound(positions, first) - positions.begin());
}

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
void attention(Device& device, const AttentionShape& shape, ConstHeadsView queries,
               const KeysValuesView& prefix, const KeysValuesView& own,
               std::span<const Stream> streams, TensorView out, TensorView log_normalisers,
               ColumnOrder order = ColumnOrder::forward);

inline void require_attention_shape(const char* operation, const AttentionShape& shape) {
  require_at_least(operation, "shape.n_kv_heads", shape.n_kv_heads, 1);
  require_at_least(operation, "shape.head_dim", shape.head_dim, 1);
  if constexpr (kContracts) {
    require_multiple(operation, "shape.n_heads", shape.n_heads, shape.n_kv_heads);
  }
}

inline void require_keys_values(const char* operation, const KeysValuesView& found,
                                std::size_t n_kv_heads, std::size_t rows, std::size_t head_dim) {
  require_heads(operation, "a cache's keys", found.keys, n_kv_heads, rows, head_dim);
  require_heads(operation, "a cache's values", found.values, n_kv_heads, rows, head_dim);
}

/// Requires the removed columns of one stream to be sorted, disjoint and within its prefix.
inline void require_removed(const char* operation, std::span<const RemovedColumns> by_head,
                            std::size_t n_kv_heads, std::size_t prefix) {
  if constexpr (kContracts) {
    if (!by_head.empty()) {
      require_equal(operation, "a stream's removed.size()", by_head.size(), n_kv_heads);
    }
    for (const RemovedColumns removed : by_head) {
      std::size_t end = 0;
      for (const Range& range : removed) {
        require_at_least(operation, "the begin of a removed range", range.begin, end);
        require_at_least(operation, "the end of a removed range", range.end, range.begin);
        end = range.end;
      }
      require_at_most(operation, "the end of what is removed", end, prefix);
    }
  }
}

/// attention() on other devices than the processor.
struct AttentionKernel : Operation<AttentionKernel, const AttentionShape&, ConstHeadsView,
                                   const KeysValuesView&, const KeysValuesView&,
                                   std::span<const Stream>, TensorView, TensorView, ColumnOrder> {};

}  // namespace longshadow
