#include <cmath>

#include "engine/core/require.h"
#include "engine/ops/attention/running_softmax.h"
#include "engine/ops/common/lanes.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU T absorb(T* scores, std::size_t cols, T scale, RunningSoftmax<T>& row) {
  Lanes<T> highest = broadcast<T>(-std::numeric_limits<T>::infinity());
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    highest = maximum<T>(highest, load(scores + c));
  }
  const T tile_maximum = largest<T>(highest) * scale;
  const T new_maximum = tile_maximum > row.maximum ? tile_maximum : row.maximum;
  // A tile that is removed as a whole leaves nothing to subtract a maximum from.
  if (new_maximum == -std::numeric_limits<T>::infinity()) {
    for (std::size_t c = 0; c < cols; ++c) scores[c] = 0;
    return 1;
  }
  Lanes<T> total{};
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const Lanes<T> weight = exp<T>(load(scores + c) * scale - new_maximum);
    store<T>(scores + c, weight);
    total += weight;
  }
  const T rescale = row.maximum == new_maximum
                        ? T{1}
                        : static_cast<T>(std::exp(static_cast<double>(row.maximum - new_maximum)));
  row.sum = row.sum * static_cast<double>(rescale) + sum<T>(total);
  row.maximum = new_maximum;
  return rescale;
}

}  // namespace

template <class T>
T RunningSoftmax<T>::log_normaliser() const {
  return static_cast<T>(static_cast<double>(maximum) + std::log(sum));
}

template <class T>
T absorb_scores(T* scores, std::size_t cols, T scale, RunningSoftmax<T>& row) {
  require_multiple("absorb_scores", "cols", cols, kLanes<T>);
  return absorb(scores, cols, scale, row);
}

template struct RunningSoftmax<float>;
template struct RunningSoftmax<double>;
template float absorb_scores(float*, std::size_t, float, RunningSoftmax<float>&);
template double absorb_scores(double*, std::size_t, double, RunningSoftmax<double>&);

}  // namespace longshadow
