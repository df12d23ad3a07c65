#include "engine/cuda/launch.h"
#include "engine/ops/common/paired_rows_cuda.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/norm/rms_norm_delta.h"

namespace longshadow {
namespace {

/// A warp a pair of rows.
template <class T, class P>
__global__ void rms_norm_delta_kernel(MatrixView<const T> x, const T* w, double epsilon,
                                      MatrixView<const T> dx, NumberedPairs pairs,
                                      std::size_t n_rows, MatrixView<P> dy) {
  if (global_warp() >= n_rows) return;
  const NumberedPairs::Found at = pairs.find(global_warp());
  const T* const before = x.row(at.full_row);
  const T* const change = dx.row(at.row);
  T squares = 0, growth = 0;
  for (std::size_t c = lane(); c < x.cols; c += kWarp) {
    squares += before[c] * before[c];
    growth += change[c] * (change[c] + 2 * before[c]);
  }
  const double size = static_cast<double>(x.cols);
  const double m = warp_sum(static_cast<double>(squares)) / size + epsilon;
  const double log_shrink = -0.5 * log1p(warp_sum(static_cast<double>(growth)) / size / m);
  const T of_change = static_cast<T>(exp(log_shrink) / sqrt(m));
  const T of_input = static_cast<T>(expm1(log_shrink) / sqrt(m));
  for (std::size_t c = lane(); c < x.cols; c += kWarp) {
    dy.row(at.row)[c] = rounded<P>(w[c] * (change[c] * of_change + before[c] * of_input));
  }
}

template <class T, class P>
void rms_norm_delta_on_cuda(Cuda& device, MatrixView<const T> x, MatrixView<const T> w,
                            double epsilon, MatrixView<const T> dx,
                            std::span<const PairedRows> pairs, MatrixView<P> dy) {
  const PairsOnDevice there(device, pairs);
  launch_rows(device, rms_norm_delta_kernel<T, P>, there.n_rows(), x, w.data, epsilon, dx,
              there.view(), there.n_rows(), dy);
}

}  // namespace

void implement_rms_norm_delta() {
  RmsNormDeltaKernel::implement([](Cuda& device, ConstTensorView x, ConstTensorView w,
                                   double epsilon, ConstTensorView dx,
                                   std::span<const PairedRows> pairs, TensorView dy) {
    with_precisions("rms_norm_delta", x.element, dy.element, [&]<class T, class P>() {
      rms_norm_delta_on_cuda<T, P>(device, x.as<T>(), w.as<T>(), epsilon, dx.as<T>(), pairs,
                                   dy.as<P>());
    });
  });
}

}  // namespace longshadow
