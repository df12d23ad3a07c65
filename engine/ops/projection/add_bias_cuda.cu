#include "engine/cuda/launch.h"
#include "engine/ops/projection/add_bias.h"

namespace longshadow {
namespace {

template <class T>
__global__ void add_bias_kernel(const T* bias, MatrixView<T> x) {
  const std::size_t i = global_thread();
  if (i < x.rows * x.cols) x.row(i / x.cols)[i % x.cols] += bias[i % x.cols];
}

template <class T>
void add_bias_on_cuda(Cuda& device, MatrixView<const T> bias, MatrixView<T> x) {
  if (bias.rows == 0) return;
  launch_elements(device, add_bias_kernel<T>, x.rows * x.cols, bias.data, x);
}

}  // namespace

void implement_add_bias() {
  AddBiasKernel::implement([](Cuda& device, ConstTensorView bias, TensorView x) {
    with_element<float, double>("add_bias", x.element, [&]<class T>() {
      add_bias_on_cuda<T>(device, bias.as<T>(), x.as<T>());
    });
  });
}

}  // namespace longshadow
