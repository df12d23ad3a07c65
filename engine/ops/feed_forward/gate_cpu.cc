#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/feed_forward/gate.h"
#include "engine/ops/feed_forward/gate_lanes.h"

namespace longshadow {
namespace {

template <Activation activation, class T>
LONGSHADOW_INLINE Lanes<T> gated(Lanes<T> gate, Lanes<T> up) {
  return gate / (1 + exp<T>(-gate_exponent<activation, T>(gate))) * up;
}

template <Activation activation, class T>
LONGSHADOW_PER_CPU void gate_row(const T* gate, const T* up, std::size_t cols, T* out) {
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    store<T>(out + c, gated<activation, T>(load(gate + c), load(up + c)));
  }
  if (c == cols) return;
  const std::size_t rest = cols - c;
  store_first<T>(out + c, rest,
                 gated<activation, T>(load_first(gate + c, rest), load_first(up + c, rest)));
}

void check_apply_gate(ConstTensorView gate, ConstTensorView up, TensorView out) {
  require_shape("apply_gate", "up", up, gate.rows, gate.cols);
  require_shape("apply_gate", "out", out, gate.rows, gate.cols);
}

template <Activation activation, class T>
void apply_gate_on_cpu(Cpu& device, MatrixView<const T> gate, MatrixView<const T> up,
                       MatrixView<T> out) {
  device.parallel_for(gate.rows, [&](std::size_t r) {
    gate_row<activation>(gate.row(r), up.row(r), gate.cols, out.row(r));
  });
}

}  // namespace

void apply_gate(Device& device, Activation activation, ConstTensorView gate, ConstTensorView up,
                TensorView out) {
  check_apply_gate(gate, up, out);
  if (GateKernel::ran_elsewhere(device, activation, gate, up, out)) return;
  with_activation(activation, [&]<Activation kind>() {
    with_element<float, double>("apply_gate", gate.element, [&]<class T>() {
      apply_gate_on_cpu<kind, T>(cpu_of(device), gate.as<T>(), up.as<T>(), out.as<T>());
    });
  });
}

}  // namespace longshadow
