#include <cmath>

#include "engine/ops/common/lanes.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/feed_forward/silu_gate_delta.h"

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

void silu_gate_delta(const float* gate, const float* up, const float* dgate, const float* dup,
                     std::size_t cols, float* out) {
  change_row(gate, up, dgate, dup, cols, out);
}
void silu_gate_delta(const float* gate, const float* up, const float* dgate, const float* dup,
                     std::size_t cols, BF16* out) {
  change_row(gate, up, dgate, dup, cols, out);
}
void silu_gate_delta(const double* gate, const double* up, const double* dgate, const double* dup,
                     std::size_t cols, double* out) {
  change_row(gate, up, dgate, dup, cols, out);
}

}  // namespace longshadow
