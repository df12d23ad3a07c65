#include <cmath>

#include "engine/ops/lanes.h"
#include "engine/ops/silu_gate.h"

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

}  // namespace

template <class T>
void silu_gate(Cpu& device, MatrixView<const T> gate, MatrixView<const T> up, MatrixView<T> out) {
  check_silu_gate(gate, up, out);
  device.parallel_for(
      gate.rows, [&](std::size_t r) { gate_row(gate.row(r), up.row(r), gate.cols, out.row(r)); });
}

template void silu_gate(Cpu&, MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template void silu_gate(Cpu&, MatrixView<const double>, MatrixView<const double>,
                        MatrixView<double>);

}  // namespace longshadow
