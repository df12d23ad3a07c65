#include "engine/core/require.h"
#include "engine/ops/attention/score_cap.h"
#include "engine/ops/common/lanes.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void cap(T* products, std::size_t cols, T scale) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(products + c, tanh<T>(load(products + c) * scale));
  }
}

template <class T>
LONGSHADOW_PER_CPU void cap_changes(const T* capped, T* changes, std::size_t cols, T scale) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(changes + c, tanh_change<T>(load(capped + c), load(changes + c) * scale));
  }
}

template <class T>
LONGSHADOW_PER_CPU void to_slopes(const T* capped, T* slopes, std::size_t cols) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    store<T>(slopes + c, (1 - load(capped + c)) * (1 + load(capped + c)));
  }
}

}  // namespace

template <class T>
void ScoreCap<T>::apply(T* products, std::size_t cols) const {
  require_multiple("ScoreCap", "cols", cols, kLanes<T>);
  cap(products, cols, scale_);
}

template <class T>
void ScoreCap<T>::apply_to_changes(const T* capped, T* changes, std::size_t cols) const {
  require_multiple("ScoreCap", "cols", cols, kLanes<T>);
  cap_changes(capped, changes, cols, scale_);
}

template <class T>
void ScoreCap<T>::slopes(const T* capped, T* slopes, std::size_t cols) {
  require_multiple("ScoreCap", "cols", cols, kLanes<T>);
  to_slopes(capped, slopes, cols);
}

template class ScoreCap<float>;
template class ScoreCap<double>;

}  // namespace longshadow
