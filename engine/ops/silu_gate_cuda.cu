#include "engine/backend/cuda/launch.h"
#include "engine/ops/silu_gate.h"

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

}  // namespace

template <class T>
void silu_gate(Cuda& device, MatrixView<const T> gate, MatrixView<const T> up, MatrixView<T> out) {
  check_silu_gate(gate, up, out);
  launch_elements(device, silu_gate_kernel<T>, gate.rows * gate.cols, gate, up, out);
}

template void silu_gate(Cuda&, MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template void silu_gate(Cuda&, MatrixView<const double>, MatrixView<const double>,
                        MatrixView<double>);

}  // namespace longshadow
