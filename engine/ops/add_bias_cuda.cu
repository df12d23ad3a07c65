#include "engine/backend/cuda/launch.h"
#include "engine/ops/add_bias.h"

namespace longshadow {
namespace {

template <class T>
__global__ void add_bias_kernel(const T* bias, MatrixView<T> x) {
  const std::size_t i = global_thread();
  if (i < x.rows * x.cols) x.row(i / x.cols)[i % x.cols] += bias[i % x.cols];
}

}  // namespace

template <class T>
void add_bias(Cuda& device, MatrixView<const T> bias, MatrixView<T> x) {
  check_add_bias(bias, x);
  if (bias.rows == 0) return;
  launch_elements(device, add_bias_kernel<T>, x.rows * x.cols, bias.data, x);
}

template void add_bias(Cuda&, MatrixView<const float>, MatrixView<float>);
template void add_bias(Cuda&, MatrixView<const double>, MatrixView<double>);

}  // namespace longshadow
