#include <algorithm>

#include "engine/cuda/launch.h"
#include "engine/ops/attention/scoring_cuda.h"
#include "engine/ops/attention_statistics/attention_received.h"
#include "engine/ops/attention_statistics/attention_scores_cuda.h"
#include "engine/ops/common/column_tiles.h"

namespace longshadow {
namespace {

/// The shape of a block: columns, a lane each, so that a warp reads neighbours; and warps, which
/// share the rows out among themselves.
constexpr unsigned kWarpsOfRows = 8;

/// A block for kWarp columns of one KV head. `look_back` as AttentionShape::window.
template <class T>
__global__ void received_kernel(const T* scores, std::size_t rows, std::size_t width,
                                ColumnTile tile, std::size_t group, Scoring<T> scoring,
                                MatrixView<const T> log_normalisers, std::size_t first_position,
                                std::size_t look_back, std::size_t window_begin,
                                MatrixView<double> all_queries, MatrixView<double> window_queries) {
  auto* const sums = shared_memory<double>();  // [warps, 2, columns]: before the window, in it
  const std::size_t blocks_of_head = (tile.used + kWarp - 1) / kWarp;
  const std::size_t kv_head = blockIdx.x / blocks_of_head;
  const std::size_t column = blockIdx.x % blocks_of_head * kWarp + lane();
  const unsigned warp = threadIdx.x / kWarp;
  double before = 0, within = 0;
  for (std::size_t i = warp; column < tile.used && i < group * rows; i += kWarpsOfRows) {
    const std::size_t head = kv_head * group + i / rows, r = i % rows;
    const std::size_t position = first_position + r;
    if (position < tile.begin + column) continue;
    if (look_back != 0 && position >= tile.begin + column + look_back) continue;
    const T score = scores[(head * rows + r) * width + column];
    const auto weight =
        static_cast<double>(exp(scoring.score(score) - log_normalisers.row(r)[head]));
    (position >= window_begin ? within : before) += weight;
  }
  sums[(warp * 2) * kWarp + lane()] = before;
  sums[(warp * 2 + 1) * kWarp + lane()] = within;
  __syncthreads();
  if (warp != 0 || column >= tile.used) return;
  for (unsigned other = 1; other < kWarpsOfRows; ++other) {
    before += sums[(other * 2) * kWarp + lane()];
    within += sums[(other * 2 + 1) * kWarp + lane()];
  }
  const double share = 1.0 / static_cast<double>(group);
  all_queries.row(kv_head)[tile.begin + column] += (before + within) * share;
  window_queries.row(kv_head)[tile.begin + column] += within * share;
}

template <class T>
void add_attention_received_on_cuda(Cuda& device, const AttentionShape& shape,
                                    HeadRows<const T> queries, std::size_t first_position,
                                    std::size_t used_rows, HeadRows<const T> keys,
                                    MatrixView<const T> log_normalisers, std::size_t window_begin,
                                    MatrixView<double> all_queries,
                                    MatrixView<double> window_queries) {
  const std::size_t columns = std::min(first_position + used_rows, all_queries.cols);
  const DeviceArray<T> scores(device, shape.n_heads * used_rows * kMaxColumnTile);
  for (const ColumnTile& tile : column_tiles(columns)) {
    score_tile<T>(device, shape, queries, used_rows, keys, tile, scores.data());
    launch(device, received_kernel<T>, shape.n_kv_heads * ((tile.used + kWarp - 1) / kWarp),
           kWarpsOfRows * kWarp, kWarpsOfRows * 2 * kWarp * sizeof(double),
           static_cast<const T*>(scores.data()), used_rows, tile.width, tile, shape.group_size(),
           Scoring<T>(shape), log_normalisers, first_position, shape.window, window_begin,
           all_queries, window_queries);
  }
}

}  // namespace

void implement_add_attention_received() {
  AddAttentionReceivedKernel::implement(
      [](Cuda& device, const AttentionShape& shape, ConstHeadsView queries,
         std::size_t first_position, std::size_t used_rows, ConstHeadsView keys,
         ConstTensorView log_normalisers, std::size_t window_begin, MatrixView<double> all_queries,
         MatrixView<double> window_queries) {
        with_element<float, double>("add_attention_received", queries.element, [&]<class T>() {
          add_attention_received_on_cuda<T>(device, shape, queries.as<T>(), first_position,
                                            used_rows, keys.as<T>(), log_normalisers.as<T>(),
                                            window_begin, all_queries, window_queries);
        });
      });
}

}  // namespace longshadow
