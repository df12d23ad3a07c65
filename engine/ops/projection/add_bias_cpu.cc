#include "engine/backend/cpu.h"
#include "engine/ops/projection/add_bias.h"

namespace longshadow {

namespace {

void check_add_bias(ConstTensorView bias, TensorView x) {
  if (bias.rows != 0) require_shape("add_bias", "bias", bias, 1, x.cols);
}

template <class T>
void add_bias_on_cpu(Cpu& device, MatrixView<const T> bias, MatrixView<T> x) {
  if (bias.rows == 0) return;
  device.parallel_for(x.rows, [&](std::size_t r) {
    for (std::size_t c = 0; c < x.cols; ++c) x.row(r)[c] += bias.row(0)[c];
  });
}

}  // namespace

void add_bias(Device& device, ConstTensorView bias, TensorView x) {
  check_add_bias(bias, x);
  if (AddBiasKernel::ran_elsewhere(device, bias, x)) return;
  with_element<float, double>("add_bias", x.element, [&]<class T>() {
    add_bias_on_cpu<T>(cpu_of(device), bias.as<T>(), x.as<T>());
  });
}

}  // namespace longshadow
