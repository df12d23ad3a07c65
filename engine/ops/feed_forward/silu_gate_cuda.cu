#include "engine/cuda/launch.h"
#include "engine/ops/feed_forward/silu_gate.h"

namespace longshadow {
namespace {

template <class T>
__global__ void silu_gate_kernel(MatrixView<const T> gate, MatrixView<const T> up,
                                 MatrixView<T> out) {
  const std::size_t i = global_thread();
  if (i >= gate.rows * gate.cols) return;
  const std::size_t r = i / gate.cols, c = i % gate.cols;
  const T g = gate.row(r)[c];
  out.row(r)[c] = g / (1 + exp(-g)) * up.row(r)[c];
}

template <class T>
void silu_gate_on_cuda(Cuda& device, MatrixView<const T> gate, MatrixView<const T> up,
                       MatrixView<T> out) {
  launch_elements(device, silu_gate_kernel<T>, gate.rows * gate.cols, gate, up, out);
}

}  // namespace

void implement_silu_gate() {
  SiluGateKernel::implement(
      [](Cuda& device, ConstTensorView gate, ConstTensorView up, TensorView out) {
        with_element<float, double>("silu_gate", gate.element, [&]<class T>() {
          silu_gate_on_cuda<T>(device, gate.as<T>(), up.as<T>(), out.as<T>());
        });
      });
}

}  // namespace longshadow
