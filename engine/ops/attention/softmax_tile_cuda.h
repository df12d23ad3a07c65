#pragma once

#include <algorithm>
#include <vector>

#include "engine/core/range.h"
#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/attention/scoring_cuda.h"

namespace longshadow {

/// Columns of a tile of attention, the position of the first of its rows, and how far rows look
/// back, as AttentionShape::window.
struct SoftmaxTile {
  std::size_t begin, width, used;
  std::size_t first_position;
  std::size_t window;

  /// Whether row r sees the tile's column c.
  __device__ bool is_visible(std::size_t r, std::size_t c) const {
    const std::size_t position = first_position + r, column = begin + c;
    return c < used && column <= position && (window == 0 || position < column + window);
  }
};

/// A warp a row of p [heads, n_rows, width]: products q.k -> the full pass's softmax weights, and 0
/// where a row sees nothing or is not known. `capped`, shaped like p, becomes Scoring::capped() of
/// them where it is not null.
template <class T>
__global__ void softmax_tile_kernel(T* p, T* capped, std::size_t n_heads, std::size_t n_rows,
                                    SoftmaxTile tile, std::size_t first_head, std::size_t full_row,
                                    std::size_t known_rows, MatrixView<const T> log_normalisers,
                                    Scoring<T> scoring) {
  const std::size_t index = global_warp();
  if (index >= n_heads * n_rows) return;
  const std::size_t r = index % n_rows;
  const bool is_known = r < known_rows;
  const T log_normaliser =
      is_known ? log_normalisers.row(full_row + r)[first_head + index / n_rows] : T{0};
  T* const row = p + index * tile.width;
  for (std::size_t c = lane(); c < tile.width; c += kWarp) {
    const bool is_visible = is_known && tile.is_visible(r, c);
    const T value = is_visible ? scoring.capped(row[c]) : T{0};
    if (capped != nullptr) capped[index * tile.width + c] = value;
    row[c] = is_visible ? exp(scoring.score_of_capped(value) - log_normaliser) : T{0};
  }
}

/// p [heads, rows, width] of the full pass at full rows [rows.begin, rows.end), those behind its
/// last one being 0: one product in T for each head, and a kernel. `capped` as
/// softmax_tile_kernel() has it.
template <class T, class P>
void make_softmax_tile(Cuda& device, const AttentionShape& shape, const FullAttention<T, P>& full,
                       const Range& heads, const Range& rows, const SoftmaxTile& tile, T* p,
                       T* capped) {
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
  launch_rows(device, softmax_tile_kernel<T>, heads.size() * rows.size(), p, capped, heads.size(),
              rows.size(), tile, heads.begin, rows.begin, known_rows, full.log_normalisers,
              Scoring<T>(shape));
}

}  // namespace longshadow
