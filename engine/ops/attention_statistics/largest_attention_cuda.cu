#include <algorithm>

#include "engine/cuda/launch.h"
#include "engine/ops/attention/scoring_cuda.h"
#include "engine/ops/attention_statistics/attention_scores_cuda.h"
#include "engine/ops/attention_statistics/largest_attention.h"
#include "engine/ops/common/column_tiles.h"

namespace longshadow {
namespace {

/// The shape of a block: columns, a lane each, so that a warp reads neighbours; and warps, which
/// share the rows out among themselves.
constexpr unsigned kWarpsOfRows = 8;

__device__ inline double larger_or_nan(double a, double b) { return b > a || b != b ? b : a; }

/// A block for kWarp columns of one query head.
template <class T>
__global__ void largest_kernel(const T* scores, std::size_t rows, ColumnTile tile,
                               Scoring<T> scoring, MatrixView<const T> log_normalisers,
                               MatrixView<double> largest) {
  auto* const of_warps = shared_memory<double>();  // [warps, columns]
  const std::size_t blocks_of_head = (tile.used + kWarp - 1) / kWarp;
  const std::size_t head = blockIdx.x / blocks_of_head;
  const std::size_t column = blockIdx.x % blocks_of_head * kWarp + lane();
  const unsigned warp = threadIdx.x / kWarp;
  double found = 0;
  for (std::size_t r = warp; column < tile.used && r < rows; r += kWarpsOfRows) {
    const T score = scores[(head * rows + r) * tile.width + column];
    const T weight = exp(scoring.score(score) - log_normalisers.row(r)[head]);
    found = larger_or_nan(found, static_cast<double>(weight));
  }
  of_warps[warp * kWarp + lane()] = found;
  __syncthreads();
  if (warp != 0 || column >= tile.used) return;
  for (unsigned other = 1; other < kWarpsOfRows; ++other) {
    found = larger_or_nan(found, of_warps[other * kWarp + lane()]);
  }
  double& to = largest.row(head)[tile.begin + column];
  to = larger_or_nan(to, found);
}

template <class T>
void raise_largest_attention_on_cuda(Cuda& device, const AttentionShape& shape,
                                     HeadRows<const T> queries, std::size_t rows,
                                     HeadRows<const T> keys, MatrixView<const T> log_normalisers,
                                     MatrixView<double> largest) {
  const DeviceArray<T> scores(device, shape.n_heads * rows * kMaxColumnTile);
  for (const ColumnTile& tile : column_tiles(largest.cols)) {
    score_tile<T>(device, shape, queries, rows, keys, tile, scores.data());
    launch(device, largest_kernel<T>, shape.n_heads * ((tile.used + kWarp - 1) / kWarp),
           kWarpsOfRows * kWarp, kWarpsOfRows * kWarp * sizeof(double),
           static_cast<const T*>(scores.data()), rows, tile, Scoring<T>(shape), log_normalisers,
           largest);
  }
}

}  // namespace

void implement_raise_largest_attention() {
  RaiseLargestAttentionKernel::implement(
      [](Cuda& device, const AttentionShape& shape, ConstHeadsView queries, std::size_t rows,
         ConstHeadsView keys, ConstTensorView log_normalisers, MatrixView<double> largest) {
        with_element<float, double>("raise_largest_attention", queries.element, [&]<class T>() {
          raise_largest_attention_on_cuda<T>(device, shape, queries.as<T>(), rows, keys.as<T>(),
                                             log_normalisers.as<T>(), largest);
        });
      });
}

}  // namespace longshadow
