#include <limits>

#include "engine/cuda/launch.h"
#include "engine/ops/attention/scoring_cuda.h"
#include "engine/ops/attention_statistics/attention_scores_cuda.h"
#include "engine/ops/attention_statistics/softmax_normalisers.h"
#include "engine/ops/common/column_tiles.h"

namespace longshadow {
namespace {

/// The softmax of every head's rows as far as their tiles have been seen: [heads, rows].
template <class T>
struct Running {
  T* maxima;
  double* sums;
};

/// A warp a row of scores [heads, rows, width].
template <class T>
__global__ void absorb_kernel(const T* scores, std::size_t n_rows, ColumnTile tile,
                              Scoring<T> scoring, Running<T> running) {
  constexpr T kNothing = -std::numeric_limits<T>::infinity();
  const std::size_t at = global_warp();
  if (at >= n_rows) return;
  const T* const row = scores + at * tile.width;
  T maximum = kNothing;
  for (std::size_t c = lane(); c < tile.used; c += kWarp) {
    const T score = scoring.score(row[c]);
    maximum = score > maximum ? score : maximum;
  }
  maximum = warp_max(maximum);

  // One lane reads and writes what the row keeps; the others get it by shuffles.
  const bool has_seen = tile.begin != 0;
  const T before =
      __shfl_sync(kAllLanes, has_seen && lane() == 0 ? running.maxima[at] : kNothing, 0);
  maximum = before > maximum ? before : maximum;
  T total = 0;
  for (std::size_t c = lane(); c < tile.used; c += kWarp)
    total += exp(scoring.score(row[c]) - maximum);
  const double sum = warp_sum(static_cast<double>(total));
  if (lane() != 0) return;
  const double seen = has_seen ? running.sums[at] * static_cast<double>(exp(before - maximum)) : 0;
  running.maxima[at] = maximum;
  running.sums[at] = seen + sum;
}

/// A thread an element of log_normalisers [rows, heads].
template <class T>
__global__ void finish_kernel(Running<T> running, std::size_t rows, std::size_t n_heads,
                              MatrixView<T> log_normalisers) {
  const std::size_t i = global_thread();
  if (i >= rows * n_heads) return;
  const std::size_t row = i / n_heads, head = i % n_heads, at = head * rows + row;
  log_normalisers.row(row)[head] =
      static_cast<T>(static_cast<double>(running.maxima[at]) + log(running.sums[at]));
}

template <class T>
void softmax_normalisers_on_cuda(Cuda& device, const AttentionShape& shape,
                                 HeadRows<const T> queries, std::size_t rows,
                                 HeadRows<const T> keys, std::size_t columns,
                                 MatrixView<T> log_normalisers) {
  const std::size_t n_rows = shape.n_heads * rows;
  const DeviceArray<T> scores(device, n_rows * kMaxColumnTile), maxima(device, n_rows);
  const DeviceArray<double> sums(device, n_rows);
  const Running<T> running{maxima.data(), sums.data()};
  for (const ColumnTile& tile : column_tiles(columns)) {
    score_tile<T>(device, shape, queries, rows, keys, tile, scores.data());
    launch_rows(device, absorb_kernel<T>, n_rows, static_cast<const T*>(scores.data()), n_rows,
                tile, Scoring<T>(shape), running);
  }
  launch_elements(device, finish_kernel<T>, n_rows, running, rows, shape.n_heads, log_normalisers);
}

}  // namespace

void implement_softmax_normalisers() {
  SoftmaxNormalisersKernel::implement(
      [](Cuda& device, const AttentionShape& shape, ConstHeadsView queries, std::size_t rows,
         ConstHeadsView keys, std::size_t columns, TensorView log_normalisers) {
        with_element<float, double>("softmax_normalisers", queries.element, [&]<class T>() {
          softmax_normalisers_on_cuda<T>(device, shape, queries.as<T>(), rows, keys.as<T>(),
                                         columns, log_normalisers.as<T>());
        });
      });
}

}  // namespace longshadow
