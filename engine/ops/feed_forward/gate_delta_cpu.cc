#include "engine/ops/common/lanes.h"
#include "engine/ops/feed_forward/gate_delta.h"
#include "engine/ops/feed_forward/gate_lanes.h"

namespace longshadow {
namespace {

template <Activation activation, class T>
LONGSHADOW_INLINE Lanes<T> gated_change(Lanes<T> gate, Lanes<T> up, Lanes<T> dgate, Lanes<T> dup) {
  const LaneActivationChange<T> change = activation_change<activation, T>(gate, dgate);
  return change.value * up + (gate + dgate) * change.sigma_after * dup;
}

template <Activation activation, class T, class P>
LONGSHADOW_PER_CPU void change_row(const T* gate, const T* up, const T* dgate, const T* dup,
                                   std::size_t cols, P* out) {
  std::size_t c = 0;
  for (; c + kLanes<T> <= cols; c += kLanes<T>) {
    store<T>(out + c, gated_change<activation, T>(load(gate + c), load(up + c), load(dgate + c),
                                                  load(dup + c)));
  }
  if (c == cols) return;
  const std::size_t rest = cols - c;
  store_first<T>(
      out + c, rest,
      gated_change<activation, T>(load_first(gate + c, rest), load_first(up + c, rest),
                                  load_first(dgate + c, rest), load_first(dup + c, rest)));
}

template <class T, class P>
void change(Activation activation, const T* gate, const T* up, const T* dgate, const T* dup,
            std::size_t cols, P* out) {
  with_activation(activation,
                  [&]<Activation kind>() { change_row<kind>(gate, up, dgate, dup, cols, out); });
}

}  // namespace

void gate_delta(Activation activation, const float* gate, const float* up, const float* dgate,
                const float* dup, std::size_t cols, float* out) {
  change(activation, gate, up, dgate, dup, cols, out);
}
void gate_delta(Activation activation, const float* gate, const float* up, const float* dgate,
                const float* dup, std::size_t cols, BF16* out) {
  change(activation, gate, up, dgate, dup, cols, out);
}
void gate_delta(Activation activation, const double* gate, const double* up, const double* dgate,
                const double* dup, std::size_t cols, double* out) {
  change(activation, gate, up, dgate, dup, cols, out);
}

}  // namespace longshadow
