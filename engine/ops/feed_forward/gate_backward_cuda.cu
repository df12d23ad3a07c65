#include "engine/cuda/launch.h"
#include "engine/ops/common/paired_rows_cuda.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/feed_forward/gate_backward.h"
#include "engine/ops/feed_forward/gate_cuda.h"

namespace longshadow {
namespace {

template <Activation activation, class T, class P>
__global__ void gate_backward_kernel(MatrixView<const T> gate, MatrixView<const T> up,
                                     MatrixView<const T> dout, NumberedPairs pairs,
                                     std::size_t n_rows, MatrixView<P> dgate, MatrixView<P> dup) {
  const std::size_t i = global_thread();
  if (i >= n_rows * gate.cols) return;
  const NumberedPairs::Found at = pairs.find(i / gate.cols);
  const std::size_t c = i % gate.cols;
  const T g = gate.row(at.full_row)[c], d = dout.row(at.row)[c];
  const T z = gate_exponent<activation>(g);
  const T sigma = 1 / (1 + exp(-z)), complement = 1 / (1 + exp(z));
  dgate.row(at.row)[c] = rounded<P>(d * up.row(at.full_row)[c] * sigma *
                                    (1 + g * gate_exponent_slope<activation>(g) * complement));
  dup.row(at.row)[c] = rounded<P>(d * g * sigma);
}

template <Activation activation, class T, class P>
void gate_backward_on_cuda(Cuda& device, MatrixView<const T> gate, MatrixView<const T> up,
                           MatrixView<const T> dout, std::span<const PairedRows> pairs,
                           MatrixView<P> dgate, MatrixView<P> dup) {
  const PairsOnDevice there(device, pairs);
  launch_elements(device, gate_backward_kernel<activation, T, P>, there.n_rows() * gate.cols, gate,
                  up, dout, there.view(), there.n_rows(), dgate, dup);
}

}  // namespace

void implement_gate_backward() {
  GateBackwardKernel::implement([](Cuda& device, Activation activation, ConstTensorView gate,
                                   ConstTensorView up, ConstTensorView dout,
                                   std::span<const PairedRows> pairs, TensorView dgate,
                                   TensorView dup) {
    with_activation(activation, [&]<Activation kind>() {
      with_precisions("gate_backward", gate.element, dgate.element, [&]<class T, class P>() {
        gate_backward_on_cuda<kind, T, P>(device, gate.as<T>(), up.as<T>(), dout.as<T>(), pairs,
                                          dgate.as<P>(), dup.as<P>());
      });
    });
  });
}

}  // namespace longshadow
