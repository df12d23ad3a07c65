#include "engine/cuda/launch.h"
#include "engine/ops/common/paired_rows_cuda.h"
#include "engine/ops/norm/rms_norm_backward.h"

namespace longshadow {
namespace {

/// A warp a pair of rows.
template <class T>
__global__ void rms_norm_backward_kernel(MatrixView<const T> x, const T* w, double epsilon,
                                         MatrixView<const T> dy, NumberedPairs pairs,
                                         std::size_t n_rows, MatrixView<T> dx) {
  if (global_warp() >= n_rows) return;
  const NumberedPairs::Found at = pairs.find(global_warp());
  const T* const input = x.row(at.full_row);
  const T* const gradient = dy.row(at.row);
  T squares = 0, products = 0;
  for (std::size_t c = lane(); c < x.cols; c += kWarp) {
    squares += input[c] * input[c];
    products += input[c] * (w[c] * gradient[c]);
  }
  const double size = static_cast<double>(x.cols);
  const double m = warp_sum(static_cast<double>(squares)) / size + epsilon;
  const double mean_product = warp_sum(static_cast<double>(products)) / size;
  const T inverse_rms = static_cast<T>(1 / sqrt(m));
  const T of_input = static_cast<T>(mean_product / (m * sqrt(m)));
  for (std::size_t c = lane(); c < x.cols; c += kWarp) {
    dx.row(at.row)[c] += w[c] * gradient[c] * inverse_rms - input[c] * of_input;
  }
}

template <class T>
void rms_norm_backward_on_cuda(Cuda& device, MatrixView<const T> x, MatrixView<const T> w,
                               double epsilon, MatrixView<const T> dy,
                               std::span<const PairedRows> pairs, MatrixView<T> dx) {
  const PairsOnDevice there(device, pairs);
  launch_rows(device, rms_norm_backward_kernel<T>, there.n_rows(), x, w.data, epsilon, dy,
              there.view(), there.n_rows(), dx);
}

}  // namespace

void implement_rms_norm_backward() {
  RmsNormBackwardKernel::implement([](Cuda& device, ConstTensorView x, ConstTensorView w,
                                      double epsilon, ConstTensorView dy,
                                      std::span<const PairedRows> pairs, TensorView dx) {
    with_element<float, double>("rms_norm_backward", x.element, [&]<class T>() {
      rms_norm_backward_on_cuda<T>(device, x.as<T>(), w.as<T>(), epsilon, dy.as<T>(), pairs,
                                   dx.as<T>());
    });
  });
}

}  // namespace longshadow
