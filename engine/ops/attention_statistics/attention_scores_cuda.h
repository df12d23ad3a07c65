#pragma once

#include <cstddef>
#include <vector>

#include "engine/cuda/product.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/common/column_tiles.h"

namespace longshadow {

/// scores [H, rows, tile.width], dense in the device's memory: of each query head the products of
/// its first `rows` queries with the tile's keys, not scaled.
template <class T>
void score_tile(Cuda& device, const AttentionShape& shape, HeadRows<const T> queries,
                std::size_t rows, HeadRows<const T> keys, const ColumnTile& tile, T* scores) {
  std::vector<const T*> of_queries, of_keys;
  std::vector<T*> of_scores;
  for (std::size_t head = 0; head < shape.n_heads; ++head) {
    of_queries.push_back(queries.head(head).data);
    of_keys.push_back(keys.head(shape.kv_head_of(head)).row(tile.begin));
    of_scores.push_back(scores + head * rows * tile.width);
  }
  batched_product<T, T>(device, {of_queries, rows, shape.head_dim},
                        {of_keys, tile.width, shape.head_dim}, RightFactor::by_output,
                        {of_scores, rows, tile.width}, false);
}

}  // namespace longshadow
