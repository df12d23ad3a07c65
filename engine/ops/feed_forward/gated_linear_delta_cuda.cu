#include <algorithm>

#include "engine/cuda/launch.h"
#include "engine/ops/common/paired_rows_cuda.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/feed_forward/gate_cuda.h"
#include "engine/ops/feed_forward/gated_linear_delta.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {
namespace {

/// The most bytes that dgate and dup of the rows in work take together.
constexpr std::size_t kScratchBytes = std::size_t{256} << 20;

/// A thread an element; rows outside [first, end) are for another launch.
template <Activation activation, class T, class P>
__global__ void gate_delta_kernel(MatrixView<const T> gate, MatrixView<const T> up,
                                  MatrixView<const T> dgate, MatrixView<const T> dup,
                                  NumberedPairs pairs, std::size_t n_rows, std::size_t first_row,
                                  MatrixView<P> out) {
  const std::size_t i = global_thread();
  if (i >= n_rows * gate.cols) return;
  const NumberedPairs::Found at = pairs.find(i / gate.cols);
  if (at.row < first_row || at.row >= first_row + dgate.rows) return;
  const std::size_t c = i % gate.cols;
  const T g = gate.row(at.full_row)[c], dg = dgate.row(at.row - first_row)[c];
  const ActivationChange<T> change = activation_change<activation>(g, dg);
  out.row(at.row)[c] = rounded<P>(change.value * up.row(at.full_row)[c] +
                                  (g + dg) * change.sigma_after * dup.row(at.row - first_row)[c]);
}

template <Activation activation, class T, class P>
void gated_linear_delta_on_cuda(Cuda& device, MatrixView<const P> dx, const GatedLinear<T>& full,
                                std::span<const PairedRows> pairs, MatrixView<P> out) {
  const PairsOnDevice there(device, pairs);
  const std::size_t cols = full.gate_weights.outputs();
  const std::size_t row_tiles_at_once = kScratchBytes / (2 * cols * sizeof(T)) / kRowTile;
  const std::size_t rows_at_once = std::clamp(row_tiles_at_once * kRowTile, kRowTile, dx.rows);
  const DeviceArray<T> dgate(device, rows_at_once * cols), dup(device, rows_at_once * cols);
  for (std::size_t first = 0; first < dx.rows; first += rows_at_once) {
    const std::size_t count = std::min(rows_at_once, dx.rows - first);
    const MatrixView<T> dgate_rows = dgate.rows(count, cols), dup_rows = dup.rows(count, cols);
    linear(device, dx.row_range(first, count), full.gate_weights, dgate_rows);
    linear(device, dx.row_range(first, count), full.up_weights, dup_rows);
    launch_elements(device, gate_delta_kernel<activation, T, P>, there.n_rows() * cols, full.gate,
                    full.up, MatrixView<const T>(dgate_rows), MatrixView<const T>(dup_rows),
                    there.view(), there.n_rows(), first, out);
  }
}

}  // namespace

void implement_gated_linear_delta() {
  GatedLinearDeltaKernel::implement([](Cuda& device, ConstTensorView dx,
                                       const GatedLinearView& full,
                                       std::span<const PairedRows> pairs, TensorView out) {
    with_activation(full.activation, [&]<Activation kind>() {
      with_precisions("gated_linear_delta", full.gate.element, dx.element, [&]<class T, class P>() {
        gated_linear_delta_on_cuda<kind, T, P>(device, dx.as<P>(), full.as<T>(), pairs,
                                               out.as<P>());
      });
    });
  });
}

}  // namespace longshadow
