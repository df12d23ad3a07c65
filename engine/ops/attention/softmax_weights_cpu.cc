#include <algorithm>

#include "engine/core/require.h"
#include "engine/ops/attention/softmax_weights.h"
#include "engine/ops/common/lanes.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void weigh(T* scores, std::size_t cols, T scale, T log_normaliser) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(scores + c, exp<T>(load(scores + c) * scale - log_normaliser));
  }
}

}  // namespace

template <class T>
void to_softmax_weights(T* scores, const Range& visible, std::size_t cols, T scale,
                        T log_normaliser) {
  require_multiple("to_softmax_weights", "cols", cols, kLanes<T>);
  require_at_most("to_softmax_weights", "visible.end", visible.end, cols);
  weigh(scores, cols, scale, log_normaliser);
  std::fill(scores, scores + visible.begin, T{0});
  std::fill(scores + visible.end, scores + cols, T{0});
}

template void to_softmax_weights(float*, const Range&, std::size_t, float, float);
template void to_softmax_weights(double*, const Range&, std::size_t, double, double);

}  // namespace longshadow
