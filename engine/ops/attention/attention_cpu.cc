#include <algorithm>
#include <limits>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/attention/running_softmax.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/tile_scratch.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void scale_row(T* row, std::size_t cols, T factor) {
  for (std::size_t c = 0; c < cols; ++c) row[c] *= factor;
}

template <class T>
void hide(T* scores, std::size_t begin, std::size_t end) {
  if (begin < end) std::fill(scores + begin, scores + end, -std::numeric_limits<T>::infinity());
}

/// Hides the tile's columns before column `first`.
template <class T>
void hide_before(T* scores, const ColumnTile& tile, std::size_t first) {
  if (first > tile.begin) hide(scores, 0, std::min(first - tile.begin, tile.used));
}

/// Hides the removed columns that fall into the prefix tile.
template <class T>
void hide_removed(T* scores, const ColumnTile& tile, RemovedColumns removed) {
  for (const Range& range : removed) {
    const std::size_t begin = std::max(range.begin, tile.begin);
    const std::size_t end = std::min(range.end, tile.begin + tile.used);
    if (begin < end) hide(scores, begin - tile.begin, end - tile.begin);
  }
}

/// One head of up to kRowTile rows of one stream.
template <class T>
struct HeadTile {
  const Stream& stream;
  std::size_t head;
  std::size_t first_row;  ///< within the stream
  std::size_t used_rows;
  std::size_t tile_rows;  ///< as computed
};

/// The sums of a head tile: the weighted sum of values and each row's softmax.
template <class T>
struct Accumulator {
  MatrixView<T> values;
  std::vector<RunningSoftmax<T>> softmax;
  ScoreCap<T> cap;
  T scale;
};

template <class T, class Hide>
void absorb_tile(Cpu& cpu, MatrixView<const T> queries, MatrixView<const T> keys,
                 MatrixView<const T> values, const HeadTile<T>& part, Hide&& hide_row,
                 Accumulator<T>& into) {
  struct Scores;
  const MatrixView<T> scores = tile_scratch<T, Scores>(cpu, part.tile_rows, keys.rows);
  tile_product<T, T>(queries, keys, RightFactor::by_output, scores, false);
  for (std::size_t r = 0; r < part.used_rows; ++r) {
    if (into.cap) into.cap.apply(scores.row(r), scores.cols);
    hide_row(r, scores.row(r));
    const T rescale = absorb_scores(scores.row(r), scores.cols, into.scale, into.softmax[r]);
    if (rescale != 1) scale_row(into.values.row(r), into.values.cols, rescale);
  }
  tile_product<T, T>(scores, values, RightFactor::by_input, into.values, true);
}

template <class T>
void attend(Cpu& cpu, const AttentionShape& shape, HeadRows<const T> queries,
            KeysValues<const T> prefix, KeysValues<const T> own, const HeadTile<T>& part,
            ColumnOrder order, MatrixView<T> out, MatrixView<T> log_normalisers) {
  struct Values;
  const std::size_t d = shape.head_dim;
  const std::size_t kv_head = shape.kv_head_of(part.head);
  const std::size_t row = part.stream.first_row + part.first_row;
  const auto slice = [&](HeadRows<const T> from, std::size_t first, std::size_t count) {
    return from.head(kv_head).row_range(first, count);
  };
  const MatrixView<const T> q = queries.head(part.head).row_range(row, part.tile_rows);

  Accumulator<T> sums{tile_scratch<T, Values>(cpu, part.tile_rows, d),
                      std::vector<RunningSoftmax<T>>(part.tile_rows), ScoreCap<T>(shape),
                      shape.score_scale<T>()};
  std::fill_n(sums.values.data, part.tile_rows * d, T{0});

  const bool reversed = order == ColumnOrder::reversed;
  const Range columns = prefix_rows(part.stream, kv_head, prefix.keys.rows);
  std::vector<ColumnTile> tiles =
      column_tiles(columns.size(), reversed ? kMinColumnTile : kMaxColumnTile);
  if (reversed) std::reverse(tiles.begin(), tiles.end());
  const auto first_seen_of_prefix = [&](std::size_t r) {
    return first_seen_column(shape, part.stream, kv_head, part.first_row + r, prefix.keys.rows);
  };
  for (const ColumnTile& tile : tiles) {
    if (tile.begin + tile.used <= first_seen_of_prefix(0)) continue;
    const RemovedColumns removed = reaching_into(tile, removed_from(kv_head, part.stream.removed));
    absorb_tile<T>(
        cpu, q, prefix.keys.all().row_range(columns.begin + tile.begin, tile.width),
        prefix.values.all().row_range(columns.begin + tile.begin, tile.width), part,
        [&](std::size_t r, T* scores) {
          hide_before(scores, tile, first_seen_of_prefix(r));
          hide_removed(scores, tile, removed);
          hide(scores, tile.used, tile.width);
        },
        sums);
  }
  for (const ColumnTile& tile : column_tiles(part.first_row + part.used_rows)) {
    if (tile.begin + tile.used <= shape.first_seen(part.first_row)) continue;
    const std::size_t first = part.stream.first_row + tile.begin;
    absorb_tile<T>(
        cpu, q, slice(own.keys, first, tile.width), slice(own.values, first, tile.width), part,
        [&](std::size_t r, T* scores) {
          const std::size_t visible = part.first_row + r + 1;
          hide_before(scores, tile, shape.first_seen(part.first_row + r));
          hide(scores, visible > tile.begin ? visible - tile.begin : 0, tile.width);
        },
        sums);
  }

  for (std::size_t r = 0; r < part.used_rows; ++r) {
    scale_row(sums.values.row(r), d, static_cast<T>(1.0 / sums.softmax[r].sum));
    std::copy_n(sums.values.row(r), d, out.row(row + r) + part.head * d);
    log_normalisers.row(row + r)[part.head] = sums.softmax[r].log_normaliser();
  }
}

void check_attention(const AttentionShape& shape, ConstHeadsView queries,
                     const KeysValuesView& prefix, const KeysValuesView& own,
                     std::span<const Stream> streams, TensorView out, TensorView log_normalisers) {
  if constexpr (kContracts) {
    constexpr const char* kName = "attention";
    require_attention_shape(kName, shape);
    std::size_t end = 0;
    for (const Stream& stream : streams) {
      end = std::max(end, stream.first_row + stream.n_rows);
      require_removed(kName, stream.removed, shape.n_kv_heads, stream.prefix);
      if (!stream.ragged_prefix.empty()) {
        require_equal(kName, "a stream's ragged_prefix.size()", stream.ragged_prefix.size(),
                      shape.n_kv_heads);
        for (const Range& range : stream.ragged_prefix) {
          require_rows_of_all(kName, "a ragged prefix's keys", prefix.keys, range.end + kRowTile,
                              shape.head_dim);
          require_rows_of_all(kName, "a ragged prefix's values", prefix.values,
                              range.end + kRowTile, shape.head_dim);
        }
      } else if (stream.prefix != 0) {
        require_keys_values(kName, prefix, shape.n_kv_heads, stream.prefix + kRowTile,
                            shape.head_dim);
      }
    }
    require_heads(kName, "queries", queries, shape.n_heads, end + kRowTile, shape.head_dim);
    require_keys_values(kName, own, shape.n_kv_heads, end + kRowTile, shape.head_dim);
    require_rows(kName, "out", out, end, shape.n_heads * shape.head_dim);
    require_rows(kName, "log_normalisers", log_normalisers, end, shape.n_heads);
  }
}

template <class T>
void attention_on_cpu(Cpu& device, const AttentionShape& shape, HeadRows<const T> queries,
                      KeysValues<const T> prefix, KeysValues<const T> own,
                      std::span<const Stream> streams, MatrixView<T> out,
                      MatrixView<T> log_normalisers, ColumnOrder order) {
  std::vector<HeadTile<T>> parts;
  for (const Stream& stream : streams) {
    const std::size_t tile_rows = std::min(kRowTile, round_up(stream.n_rows, 16));
    for (std::size_t head = 0; head < shape.n_heads; ++head) {
      for (std::size_t first = 0; first < stream.n_rows; first += tile_rows) {
        parts.push_back(
            {stream, head, first, std::min(tile_rows, stream.n_rows - first), tile_rows});
      }
    }
  }
  device.parallel_for(parts.size(), [&](std::size_t i) {
    attend(device, shape, queries, prefix, own, parts[i], order, out, log_normalisers);
  });
}

}  // namespace

void attention(Device& device, const AttentionShape& shape, ConstHeadsView queries,
               const KeysValuesView& prefix, const KeysValuesView& own,
               std::span<const Stream> streams, TensorView out, TensorView log_normalisers,
               ColumnOrder order) {
  check_attention(shape, queries, prefix, own, streams, out, log_normalisers);
  if (AttentionKernel::ran_elsewhere(device, shape, queries, prefix, own, streams, out,
                                     log_normalisers, order))
    return;
  with_element<float, double>("attention", queries.element, [&]<class T>() {
    attention_on_cpu<T>(cpu_of(device), shape, queries.as<T>(), prefix.as<T>(), own.as<T>(),
                        streams, out.as<T>(), log_normalisers.as<T>(), order);
  });
}

}  // namespace longshadow
