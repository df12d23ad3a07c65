#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/feed_forward/silu_gate_backward.h"

namespace longshadow {
namespace {

template <class T, class P>
LONGSHADOW_PER_CPU void hand_back_row(const T* gate, const T* up, const T* dout, std::size_t cols,
                                      P* dgate, P* dup) {
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    const Lanes<T> g = load(gate + c);
    const Lanes<T> d = load(dout + c);
    const Lanes<T> sigma = 1 / (1 + exp<T>(-g));
    const Lanes<T> complement = 1 / (1 + exp<T>(g));
    store<T>(dgate + c, d * load(up + c) * sigma * (1 + g * complement));
    store<T>(dup + c, d * g * sigma);
  }
  for (; c < cols; ++c) {
    const T g = gate[c];
    const T d = dout[c];
    const T sigma = 1 / (1 + std::exp(-g));
    const T complement = 1 / (1 + std::exp(g));
    dgate[c] = rounded<P>(d * up[c] * sigma * (1 + g * complement));
    dup[c] = rounded<P>(d * g * sigma);
  }
}

void check_silu_gate_backward(ConstTensorView gate, ConstTensorView up, ConstTensorView dout,
                              std::span<const PairedRows> pairs, TensorView dgate, TensorView dup) {
  constexpr const char* kName = "silu_gate_backward";
  require_shape(kName, "up", up, gate.rows, gate.cols);
  require_shape(kName, "dout", dout, dout.rows, gate.cols);
  require_shape(kName, "dgate", dgate, dout.rows, gate.cols);
  require_shape(kName, "dup", dup, dout.rows, gate.cols);
  require_pairs(kName, pairs, gate.rows, dout.rows);
}

template <class T, class P>
void silu_gate_backward_on_cpu(Cpu& device, MatrixView<const T> gate, MatrixView<const T> up,
                               MatrixView<const T> dout, std::span<const PairedRows> pairs,
                               MatrixView<P> dgate, MatrixView<P> dup) {
  for (const PairedRows& pair : pairs) {
    device.parallel_for(pair.n_rows, [&](std::size_t r) {
      const std::size_t full = pair.full_row + r;
      const std::size_t row = pair.first_row + r;
      hand_back_row(gate.row(full), up.row(full), dout.row(row), gate.cols, dgate.row(row),
                    dup.row(row));
    });
  }
}

}  // namespace

void silu_gate_backward(Device& device, ConstTensorView gate, ConstTensorView up,
                        ConstTensorView dout, std::span<const PairedRows> pairs, TensorView dgate,
                        TensorView dup) {
  check_silu_gate_backward(gate, up, dout, pairs, dgate, dup);
  if (SiluGateBackwardKernel::ran_elsewhere(device, gate, up, dout, pairs, dgate, dup)) return;
  with_precisions("silu_gate_backward", gate.element, dgate.element, [&]<class T, class P>() {
    silu_gate_backward_on_cpu<T, P>(cpu_of(device), gate.as<T>(), up.as<T>(), dout.as<T>(), pairs,
                                    dgate.as<P>(), dup.as<P>());
  });
}

}  // namespace longshadow
