#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/attention_statistics/largest_attention.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/tile_scratch.h"

namespace longshadow {
namespace {

/// largest[c] = max(largest[c], e^(scores[c] scale - log_normaliser)), NaN where either is.
template <class T>
LONGSHADOW_PER_CPU void raise_row(const T* scores, std::size_t cols, T scale, T log_normaliser,
                                  T* largest) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> weight = exp<T>(load(scores + c) * scale - log_normaliser);
    const Lanes<T> before = load(largest + c);
    const auto takes_place = (weight > before) | (weight != weight);
    store<T>(largest + c, takes_place ? weight : before);
  }
}

void check_raise_largest_attention(const AttentionShape& shape, ConstHeadsView queries,
                                   std::size_t rows, ConstHeadsView keys,
                                   ConstTensorView log_normalisers, MatrixView<double> largest) {
  constexpr const char* kName = "raise_largest_attention";
  require_attention_shape(kName, shape);
  require_shape(kName, "largest", largest, shape.n_heads, largest.cols);
  require_rows(kName, "log_normalisers", log_normalisers, rows, shape.n_heads);
  // `queries` and `keys` may be parts of a batch's or a cache's heads, which begin at a later row.
  require_heads(kName, "queries", queries, shape.n_heads, rows, shape.head_dim);
  require_heads(kName, "keys", keys, shape.n_kv_heads, largest.cols, shape.head_dim);
}

template <class T>
void raise_largest_attention_on_cpu(Cpu& device, const AttentionShape& shape,
                                    HeadRows<const T> queries, std::size_t rows,
                                    HeadRows<const T> keys, MatrixView<const T> log_normalisers,
                                    MatrixView<double> largest) {
  struct Scores;
  struct Largest;
  const ScoreCap<T> cap(shape);
  const T scale = shape.score_scale<T>();
  const std::vector<ColumnTile> tiles = column_tiles(largest.cols);
  device.parallel_for(shape.n_heads * tiles.size(), [&](std::size_t task) {
    const std::size_t head = task / tiles.size();
    const ColumnTile& tile = tiles[task % tiles.size()];
    const MatrixView<T> scores = tile_scratch<T, Scores>(device, kRowTile, tile.width);
    const MatrixView<T> of_tile = tile_scratch<T, Largest>(device, 1, tile.width);
    std::fill_n(of_tile.data, tile.width, T{0});
    for (std::size_t first = 0; first < rows; first += kRowTile) {
      tile_product<T, T>(queries.head(head).row_range(first, kRowTile),
                         keys.head(shape.kv_head_of(head)).row_range(tile.begin, tile.width),
                         RightFactor::by_output, scores, false);
      for (std::size_t r = 0; r < std::min(kRowTile, rows - first); ++r) {
        if (cap) cap.apply(scores.row(r), tile.width);
        raise_row(scores.row(r), tile.width, scale, log_normalisers.row(first + r)[head],
                  of_tile.data);
      }
    }
    double* const to = largest.row(head) + tile.begin;
    for (std::size_t c = 0; c < tile.used; ++c) {
      const auto found = static_cast<double>(of_tile.data[c]);
      if (found > to[c] || std::isnan(found)) to[c] = found;
    }
  });
}

}  // namespace

void raise_largest_attention(Device& device, const AttentionShape& shape, ConstHeadsView queries,
                             std::size_t rows, ConstHeadsView keys, ConstTensorView log_normalisers,
                             MatrixView<double> largest) {
  check_raise_largest_attention(shape, queries, rows, keys, log_normalisers, largest);
  if (RaiseLargestAttentionKernel::ran_elsewhere(device, shape, queries, rows, keys,
                                                 log_normalisers, largest))
    return;
  with_element<float, double>("raise_largest_attention", queries.element, [&]<class T>() {
    raise_largest_attention_on_cpu<T>(cpu_of(device), shape, queries.as<T>(), rows, keys.as<T>(),
                                      log_normalisers.as<T>(), largest);
  });
}

}  // namespace longshadow
