#include <cmath>

#include "engine/ops/lanes.h"
#include "engine/ops/rounding.h"
#include "engine/ops/silu_gate_delta.h"

namespace longshadow {
namespace {

template <class T, class P>
LONGSHADOW_PER_CPU void change_row(const T* gate, const T* up, const T* dgate, const T* dup,
                                   std::size_t cols, P* out) {
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    const Lanes<T> g = load(gate + c);
    const Lanes<T> dg = load(dgate + c);
    // sigma of g and of -g: the larger from e^-|g| < 1, the smaller without cancellation.
    const Lanes<T> shrink = exp<T>(-magnitude<T>(g));
    const Lanes<T> larger = 1 / (1 + shrink);
    const Lanes<T> smaller = shrink * larger;
    const Lanes<T> sigma = g < 0 ? smaller : larger;
    const Lanes<T> complement = g < 0 ? larger : smaller;
    const auto [growth, factor] = expm1_and_exp<T>(-dg);
    const Lanes<T> after = sigma / (sigma + complement * factor);
    const Lanes<T> dsigma = -after * complement * growth;
    const Lanes<T> dsilu = g * dsigma + after * dg;
    store<T>(out + c, dsilu * load(up + c) + (g + dg) * after * load(dup + c));
  }
  for (; c < cols; ++c) {
    const T g = gate[c];
    const T dg = dgate[c];
    const T after = 1 / (1 + std::exp(-(g + dg)));
    const T dsigma = -after * (1 / (1 + std::exp(g))) * std::expm1(-dg);
    const T dsilu = g * dsigma + after * dg;
    out[c] = rounded<P>(dsilu * up[c] + (g + dg) * after * dup[c]);
  }
}

}  // namespace

template <class Device, class T, class P>
void silu_gate_delta(Device& device, MatrixView<const T> gate, MatrixView<const T> up,
                     MatrixView<const T> dgate, MatrixView<const T> dup,
                     std::span<const PairedRows> pairs, MatrixView<P> out) {
  for (const PairedRows& pair : pairs) {
    device.parallel_for(pair.n_rows, [&](std::size_t r) {
      const std::size_t full = pair.full_row + r;
      const std::size_t row = pair.first_row + r;
      change_row(gate.row(full), up.row(full), dgate.row(row), dup.row(row), gate.cols,
                 out.row(row));
    });
  }
}

template void silu_gate_delta(Cpu&, MatrixView<const float>, MatrixView<const float>,
                              MatrixView<const float>, MatrixView<const float>,
                              std::span<const PairedRows>, MatrixView<float>);
template void silu_gate_delta(Cpu&, MatrixView<const float>, MatrixView<const float>,
                              MatrixView<const float>, MatrixView<const float>,
                              std::span<const PairedRows>, MatrixView<BF16>);
template void silu_gate_delta(Cpu&, MatrixView<const double>, MatrixView<const double>,
                              MatrixView<const double>, MatrixView<const double>,
                              std::span<const PairedRows>, MatrixView<double>);

}  // namespace longshadow
