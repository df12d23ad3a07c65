#include "engine/cuda/launch.h"
#include "engine/ops/norm/rms_norm.h"

namespace longshadow {
namespace {

/// A warp a row, which it reads twice, the second time from cache.
template <class T>
__global__ void rms_norm_kernel(MatrixView<const T> x, const T* w, double epsilon,
                                MatrixView<T> y) {
  const std::size_t r = global_warp();
  if (r >= x.rows) return;
  T squares = 0;
  for (std::size_t c = lane(); c < x.cols; c += kWarp) squares += x.row(r)[c] * x.row(r)[c];
  const double total = warp_sum(static_cast<double>(squares));
  const T inverse_rms = static_cast<T>(1 / sqrt(total / static_cast<double>(x.cols) + epsilon));
  for (std::size_t c = lane(); c < x.cols; c += kWarp) {
    y.row(r)[c] = w[c] * (x.row(r)[c] * inverse_rms);
  }
}

template <class T>
void rms_norm_on_cuda(Cuda& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
                      MatrixView<T> y) {
  launch_rows(device, rms_norm_kernel<T>, x.rows, x, w.data, epsilon, y);
}

}  // namespace

void implement_rms_norm() {
  RmsNormKernel::implement(
      [](Cuda& device, ConstTensorView x, ConstTensorView w, double epsilon, TensorView y) {
        with_element<float, double>("rms_norm", x.element, [&]<class T>() {
          rms_norm_on_cuda<T>(device, x.as<T>(), w.as<T>(), epsilon, y.as<T>());
        });
      });
}

}  // namespace longshadow
