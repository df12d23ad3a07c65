#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/column_tiles.h"
#include "engine/ops/lanes.h"
#include "engine/ops/largest_attention.h"
#include "engine/ops/tile_scratch.h"

namespace longshadow {
namespace {

/// largest[c] = max(largest[c], e^(scores[c] scale - log_normaliser)), NaN where either is.
template <class T>
LONGSHADOW_PER_CPU void raise_row(const T* scores, std::size_t cols, T scale, T log_normaliser,
                                  T* largest) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> weight = exp<T>(load(scores + c) * scale - log_normaliser);
    const Lanes<T> before = load(largest + c);
    store<T>(largest + c, (weight > before) | (weight != weight) ? weight : before);
  }
}

}  // namespace

template <class T>
void raise_largest_attention(Cpu& device, const AttentionShape& shape, HeadRows<const T> queries,
                             std::size_t rows, HeadRows<const T> keys,
                             MatrixView<const T> log_normalisers, MatrixView<double> largest) {
  check_raise_largest_attention(shape, queries, rows, keys, log_normalisers, largest);
  struct Scores;
  struct Largest;
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

#define LONGSHADOW_INSTANTIATE(T)                                                            \
  template void raise_largest_attention(Cpu&, const AttentionShape&, HeadRows<const T>,      \
                                        std::size_t, HeadRows<const T>, MatrixView<const T>, \
                                        MatrixView<double>);
LONGSHADOW_INSTANTIATE(float)
LONGSHADOW_INSTANTIATE(double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
