#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/feed_forward/silu_gate.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void gate_row(const T* gate, const T* up, std::size_t cols, T* out) {
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    const Lanes<T> g = load(gate + c);
    store<T>(out + c, g / (1 + exp<T>(-g)) * load(up + c));
  }
  for (; c < cols; ++c) out[c] = gate[c] / (1 + std::exp(-gate[c])) * up[c];
}

void check_silu_gate(ConstTensorView gate, ConstTensorView up, TensorView out) {
  require_shape("silu_gate", "up", up, gate.rows, gate.cols);
  require_shape("silu_gate", "out", out, gate.rows, gate.cols);
}

template <class T>
void silu_gate_on_cpu(Cpu& device, MatrixView<const T> gate, MatrixView<const T> up,
                      MatrixView<T> out) {
  device.parallel_for(
      gate.rows, [&](std::size_t r) { gate_row(gate.row(r), up.row(r), gate.cols, out.row(r)); });
}

}  // namespace

void silu_gate(Device& device, ConstTensorView gate, ConstTensorView up, TensorView out) {
  check_silu_gate(gate, up, out);
  if (SiluGateKernel::ran_elsewhere(device, gate, up, out)) return;
  with_element<float, double>("silu_gate", gate.element, [&]<class T>() {
    silu_gate_on_cpu<T>(cpu_of(device), gate.as<T>(), up.as<T>(), out.as<T>());
  });
}

}  // namespace longshadow
