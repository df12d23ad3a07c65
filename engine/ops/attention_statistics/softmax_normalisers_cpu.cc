#include <algorithm>
#include <limits>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention/running_softmax.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/attention_statistics/softmax_normalisers.h"
#include "engine/ops/common/column_tiles.h"
#include "engine/ops/common/tile_scratch.h"

namespace longshadow {

namespace {

void check_softmax_normalisers(const AttentionShape& shape, ConstHeadsView queries,
                               std::size_t rows, ConstHeadsView keys, std::size_t columns,
                               TensorView log_normalisers) {
  constexpr const char* kName = "softmax_normalisers";
  require_attention_shape(kName, shape);
  require_at_least(kName, "columns", columns, 1);
  require_heads(kName, "queries", queries, shape.n_heads, rows + kRowTile, shape.head_dim);
  require_heads(kName, "keys", keys, shape.n_kv_heads, columns + kRowTile, shape.head_dim);
  require_rows(kName, "log_normalisers", log_normalisers, rows, shape.n_heads);
}

template <class T>
void softmax_normalisers_on_cpu(Cpu& device, const AttentionShape& shape, HeadRows<const T> queries,
                                std::size_t rows, HeadRows<const T> keys, std::size_t columns,
                                MatrixView<T> log_normalisers) {
  struct Scores;
  const ScoreCap<T> cap(shape);
  const T scale = shape.score_scale<T>();
  const std::size_t tile_rows = std::min(kRowTile, round_up(rows, kFewRows));
  const std::size_t parts = (rows + tile_rows - 1) / tile_rows;
  const std::vector<ColumnTile> tiles = column_tiles(columns);

  device.parallel_for(shape.n_heads * parts, [&](std::size_t task) {
    const std::size_t head = task / parts, first = task % parts * tile_rows;
    std::vector<RunningSoftmax<T>> softmax(std::min(tile_rows, rows - first));
    for (const ColumnTile& tile : tiles) {
      const MatrixView<T> scores = tile_scratch<T, Scores>(device, tile_rows, tile.width);
      tile_product<T, T>(queries.head(head).row_range(first, tile_rows),
                         keys.head(shape.kv_head_of(head)).row_range(tile.begin, tile.width),
                         RightFactor::by_output, scores, false);
      for (std::size_t r = 0; r < softmax.size(); ++r) {
        if (cap) cap.apply(scores.row(r), tile.width);
        std::fill(scores.row(r) + tile.used, scores.row(r) + tile.width,
                  -std::numeric_limits<T>::infinity());
        absorb_scores(scores.row(r), tile.width, scale, softmax[r]);
      }
    }
    for (std::size_t r = 0; r < softmax.size(); ++r) {
      log_normalisers.row(first + r)[head] = softmax[r].log_normaliser();
    }
  });
}

}  // namespace

void softmax_normalisers(Device& device, const AttentionShape& shape, ConstHeadsView queries,
                         std::size_t rows, ConstHeadsView keys, std::size_t columns,
                         TensorView log_normalisers) {
  check_softmax_normalisers(shape, queries, rows, keys, columns, log_normalisers);
  if (SoftmaxNormalisersKernel::ran_elsewhere(device, shape, queries, rows, keys, columns,
                                              log_normalisers))
    return;
  with_element<float, double>("softmax_normalisers", queries.element, [&]<class T>() {
    softmax_normalisers_on_cpu<T>(cpu_of(device), shape, queries.as<T>(), rows, keys.as<T>(),
                                  columns, log_normalisers.as<T>());
  });
}

}  // namespace longshadow
