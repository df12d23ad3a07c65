#include "engine/cuda/launch.h"
#include "engine/ops/feed_forward/gate.h"
#include "engine/ops/feed_forward/gate_cuda.h"

namespace longshadow {
namespace {

template <Activation activation, class T>
__global__ void gate_kernel(MatrixView<const T> gate, MatrixView<const T> up, MatrixView<T> out) {
  const std::size_t i = global_thread();
  if (i >= gate.rows * gate.cols) return;
  const std::size_t r = i / gate.cols, c = i % gate.cols;
  const T g = gate.row(r)[c];
  out.row(r)[c] = g / (1 + exp(-gate_exponent<activation>(g))) * up.row(r)[c];
}

template <Activation activation, class T>
void apply_gate_on_cuda(Cuda& device, MatrixView<const T> gate, MatrixView<const T> up,
                        MatrixView<T> out) {
  launch_elements(device, gate_kernel<activation, T>, gate.rows * gate.cols, gate, up, out);
}

}  // namespace

void implement_apply_gate() {
  GateKernel::implement([](Cuda& device, Activation activation, ConstTensorView gate,
                           ConstTensorView up, TensorView out) {
    with_activation(activation, [&]<Activation kind>() {
      with_element<float, double>("apply_gate", gate.element, [&]<class T>() {
        apply_gate_on_cuda<kind, T>(device, gate.as<T>(), up.as<T>(), out.as<T>());
      });
    });
  });
}

}  // namespace longshadow
