#include <algorithm>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/attention_statistics/attention_received.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/tile_scratch.h"

namespace longshadow {
namespace {

/// into[c] += e^(score[c] scale - log_normaliser) for the visible columns.
template <class T>
LONGSHADOW_PER_CPU void add_row(const T* scores, std::size_t cols, const Range& visible, T scale,
                                T log_normaliser, T* into) {
  typename LaneTypes<T>::Integers index;
  for (std::size_t i = 0; i < kLanes<T>; ++i) index[i] = static_cast<int>(i);
  const auto begin = static_cast<int>(visible.begin), end = static_cast<int>(visible.end);
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> weight = exp<T>(load(scores + c) * scale - log_normaliser);
    const auto column = index + static_cast<int>(c);
    const auto seen = (column >= begin) & (column < end);
    store<T>(into + c, load(into + c) + (seen ? weight : Lanes<T>{}));
  }
}

void check_add_attention_received(const AttentionShape& shape, ConstHeadsView queries,
                                  std::size_t first_position, std::size_t used_rows,
                                  ConstHeadsView keys, ConstTensorView log_normalisers,
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

template <class T>
void add_attention_received_on_cpu(Cpu& device, const AttentionShape& shape,
                                   HeadRows<const T> queries, std::size_t first_position,
                                   std::size_t used_rows, HeadRows<const T> keys,
                                   MatrixView<const T> log_normalisers, std::size_t window_begin,
                                   MatrixView<double> all_queries,
                                   MatrixView<double> window_queries) {
  struct Scores;
  struct Sums;
  const std::size_t group = shape.group_size();
  const ScoreCap<T> cap(shape);
  const T scale = shape.score_scale<T>();
  const std::size_t columns = std::min(first_position + used_rows, all_queries.cols);
  const std::vector<ColumnTile> tiles = column_tiles(columns);

  device.parallel_for(shape.n_kv_heads * tiles.size(), [&](std::size_t task) {
    const std::size_t kv_head = task / tiles.size();
    const ColumnTile& tile = tiles[task % tiles.size()];
    const MatrixView<T> scores = tile_scratch<T, Scores>(device, kRowTile, tile.width);
    // Sums of one row tile in T, then added up in f64. Row 0: queries before the window, 1: in it.
    const MatrixView<T> sums = tile_scratch<T, Sums>(device, 2, kMaxColumnTile);
    for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (std::size_t first = 0; first < used_rows; first += kRowTile) {
        const std::size_t rows = std::min(kRowTile, used_rows - first);
        if (first_position + first + rows <= tile.begin) continue;
        if (shape.first_seen(first_position + first) >= tile.begin + tile.used) continue;
        tile_product<T, T>(queries.head(head).row_range(first, kRowTile),
                           keys.head(kv_head).row_range(tile.begin, tile.width),
                           RightFactor::by_output, scores, false);
        std::fill_n(sums.data, 2 * sums.stride, T{0});
        for (std::size_t r = 0; r < rows; ++r) {
          const std::size_t position = first_position + first + r;
          const std::size_t first_seen = std::max(shape.first_seen(position), tile.begin);
          if (position < tile.begin || first_seen >= tile.begin + tile.used) continue;
          const Range visible{first_seen - tile.begin,
                              std::min(position + 1 - tile.begin, tile.used)};
          if (cap) cap.apply(scores.row(r), tile.width);
          add_row(scores.row(r), tile.width, visible, scale, log_normalisers.row(first + r)[head],
                  sums.row(position >= window_begin));
        }
        for (std::size_t c = 0; c < tile.used; ++c) {
          const auto before = static_cast<double>(sums.row(0)[c]);
          const auto within = static_cast<double>(sums.row(1)[c]);
          const auto share = static_cast<double>(group);
          all_queries.row(kv_head)[tile.begin + c] += (before + within) / share;
          window_queries.row(kv_head)[tile.begin + c] += within / share;
        }
      }
    }
  });
}

}  // namespace

void add_attention_received(Device& device, const AttentionShape& shape, ConstHeadsView queries,
                            std::size_t first_position, std::size_t used_rows, ConstHeadsView keys,
                            ConstTensorView log_normalisers, std::size_t window_begin,
                            MatrixView<double> all_queries, MatrixView<double> window_queries) {
  check_add_attention_received(shape, queries, first_position, used_rows, keys, log_normalisers,
                               all_queries, window_queries);
  if (AddAttentionReceivedKernel::ran_elsewhere(device, shape, queries, first_position, used_rows,
                                                keys, log_normalisers, window_begin, all_queries,
                                                window_queries))
    return;
  with_element<float, double>("add_attention_received", queries.element, [&]<class T>() {
    add_attention_received_on_cpu<T>(cpu_of(device), shape, queries.as<T>(), first_position,
                                     used_rows, keys.as<T>(), log_normalisers.as<T>(), window_begin,
                                     all_queries, window_queries);
  });
}

}  // namespace longshadow
