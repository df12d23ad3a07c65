#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/feed_forward/gate_backward.h"
#include "engine/ops/feed_forward/gate_lanes.h"

namespace longshadow {
namespace {

template <class T>
struct GateGradients {
  Lanes<T> gate, up;
};

template <Activation activation, class T>
LONGSHADOW_INLINE GateGradients<T> hand_back(Lanes<T> g, Lanes<T> up, Lanes<T> d) {
  const Lanes<T> z = gate_exponent<activation, T>(g);
  const Lanes<T> sigma = 1 / (1 + exp<T>(-z));
  const Lanes<T> complement = 1 / (1 + exp<T>(z));
  const Lanes<T> slope = gate_exponent_slope<activation, T>(g);
  return {d * up * sigma * (1 + g * slope * complement), d * g * sigma};
}

template <Activation activation, class T, class P>
LONGSHADOW_PER_CPU void hand_back_row(const T* gate, const T* up, const T* dout, std::size_t cols,
                                      P* dgate, P* dup) {
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    const auto one = hand_back<activation, T>(load(gate + c), load(up + c), load(dout + c));
    store<T>(dgate + c, one.gate);
    store<T>(dup + c, one.up);
  }
  if (c == cols) return;
  const std::size_t rest = cols - c;
  const auto last = hand_back<activation, T>(load_first(gate + c, rest), load_first(up + c, rest),
                                             load_first(dout + c, rest));
  store_first<T>(dgate + c, rest, last.gate);
  store_first<T>(dup + c, rest, last.up);
}

void check_gate_backward(ConstTensorView gate, ConstTensorView up, ConstTensorView dout,
                         std::span<const PairedRows> pairs, TensorView dgate, TensorView dup) {
  constexpr const char* kName = "gate_backward";
  require_shape(kName, "up", up, gate.rows, gate.cols);
  require_shape(kName, "dout", dout, dout.rows, gate.cols);
  require_shape(kName, "dgate", dgate, dout.rows, gate.cols);
  require_shape(kName, "dup", dup, dout.rows, gate.cols);
  require_pairs(kName, pairs, gate.rows, dout.rows);
}

template <Activation activation, class T, class P>
void gate_backward_on_cpu(Cpu& device, MatrixView<const T> gate, MatrixView<const T> up,
                          MatrixView<const T> dout, std::span<const PairedRows> pairs,
                          MatrixView<P> dgate, MatrixView<P> dup) {
  for (const PairedRows& pair : pairs) {
    device.parallel_for(pair.n_rows, [&](std::size_t r) {
      const std::size_t full = pair.full_row + r;
      const std::size_t row = pair.first_row + r;
      hand_back_row<activation>(gate.row(full), up.row(full), dout.row(row), gate.cols,
                                dgate.row(row), dup.row(row));
    });
  }
}

}  // namespace

void gate_backward(Device& device, Activation activation, ConstTensorView gate, ConstTensorView up,
                   ConstTensorView dout, std::span<const PairedRows> pairs, TensorView dgate,
                   TensorView dup) {
  check_gate_backward(gate, up, dout, pairs, dgate, dup);
  if (GateBackwardKernel::ran_elsewhere(device, activation, gate, up, dout, pairs, dgate, dup)) {
    return;
  }
  with_activation(activation, [&]<Activation kind>() {
    with_precisions("gate_backward", gate.element, dgate.element, [&]<class T, class P>() {
      gate_backward_on_cpu<kind, T, P>(cpu_of(device), gate.as<T>(), up.as<T>(), dout.as<T>(),
                                       pairs, dgate.as<P>(), dup.as<P>());
    });
  });
}

}  // namespace longshadow
