#pragma once

#include <algorithm>
#include <vector>

#include "engine/core/range.h"
#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/attention/attention_delta.h"

namespace longshadow {

/// Columns of a tile of attention, and the position of the first of its rows.
struct SoftmaxTile {
  std::size_t begin, width, used;
  std::size_t first_position;

  /// How many of the columns row r sees.
  __device__ std::size_t visible(std::size_t r) const {
    const std::size_t seen = first_position + r + 1;
    if (seen <= begin) return 0;
    return seen - begin < used ? seen - begin : used;
  }
};

/// A warp a row of p [heads, n_rows, width]: scores -> the full pass's softmax weights, and 0
/// where a row sees nothing or is not known.
template <class T>
__global__ void softmax_tile_kernel(T* p, std::size_t n_heads, std::size_t n_rows, SoftmaxTile tile,
                                    std::size_t first_head, std::size_t full_row,
                                    std::size_t known_rows, MatrixView<const T> log_normalisers,
                                    T scale) {
  const std::size_t index = global_warp();
  if (index >= n_heads * n_rows) return;
  const std::size_t r = index % n_rows;
  const std::size_t visible = r < known_rows ? tile.visible(r) : 0;
  const T log_normaliser =
      visible != 0 ? log_normalisers.row(full_row + r)[first_head + index / n_rows] : T{0};
  T* const row = p + index * tile.width;
  for (std::size_t c = lane(); c < tile.width; c += kWarp) {
    row[c] = c < visible ? exp(row[c] * scale - log_normaliser) : T{0};
  }
}

/// p [heads, rows, width] of the full pass at full rows [rows.begin, rows.end), those behind its
/// last one being 0: one product in T for each head, and a kernel.
template <class T, class P>
void make_softmax_tile(Cuda& device, const AttentionShape& shape, const FullAttention<T, P>& full,
                       const Range& heads, const Range& rows, const SoftmaxTile& tile, T* p) {
  std::vector<const T*> queries, keys;
  std::vector<T*> scores;
  for (std::size_t head = heads.begin; head < heads.end; ++head) {
    queries.push_back(full.queries.head(head).row(rows.begin));
    keys.push_back(full.cache.keys.head(shape.kv_head_of(head)).row(tile.begin));
    scores.push_back(p + scores.size() * rows.size() * tile.width);
  }
  batched_product<T, T>(device, {queries, rows.size(), shape.head_dim},
                        {keys, tile.width, shape.head_dim}, RightFactor::by_output,
                        {scores, rows.size(), tile.width}, false);
  const std::size_t known_rows = std::min(rows.size(), full.attended.rows - rows.begin);
  launch_rows(device, softmax_tile_kernel<T>, heads.size() * rows.size(), p, heads.size(),
              rows.size(), tile, heads.begin, rows.begin, known_rows, full.log_normalisers,
              shape.template score_scale<T>());
}

}  // namespace longshadow
