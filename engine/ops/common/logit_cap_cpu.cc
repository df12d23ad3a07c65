#include "engine/ops/common/lanes.h"
#include "engine/ops/common/logit_cap.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void cap_row(T* logits, std::size_t cols, T cap, T* tanhs) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const std::size_t count = cols - c < kLanes<T> ? cols - c : kLanes<T>;
    const Lanes<T> t = tanh<T>(load_first(logits + c, count) / cap);
    if (tanhs != nullptr) store_first<T>(tanhs + c, count, t);
    store_first<T>(logits + c, count, t * cap);
  }
}

template <class T>
LONGSHADOW_PER_CPU void cap_changes_of_row(const T* tanhs, std::size_t cols, T cap, T* changes) {
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    const std::size_t count = cols - c < kLanes<T> ? cols - c : kLanes<T>;
    const Lanes<T> step = load_first(changes + c, count) / cap;
    store_first<T>(changes + c, count, tanh_change<T>(load_first(tanhs + c, count), step) * cap);
  }
}

template <class T>
LONGSHADOW_PER_CPU void multiply_row(const T* tanhs, std::size_t cols, T* x) {
  for (std::size_t c = 0; c < cols; ++c) x[c] *= (1 - tanhs[c]) * (1 + tanhs[c]);
}

}  // namespace

void cap_logits(float* logits, std::size_t cols, double cap, float* tanhs) {
  cap_row(logits, cols, static_cast<float>(cap), tanhs);
}
void cap_logits(double* logits, std::size_t cols, double cap, double* tanhs) {
  cap_row(logits, cols, cap, tanhs);
}

void cap_logit_changes(const float* tanhs, std::size_t cols, double cap, float* changes) {
  cap_changes_of_row(tanhs, cols, static_cast<float>(cap), changes);
}
void cap_logit_changes(const double* tanhs, std::size_t cols, double cap, double* changes) {
  cap_changes_of_row(tanhs, cols, cap, changes);
}

void multiply_by_cap_slopes(const float* tanhs, std::size_t cols, float* x) {
  multiply_row(tanhs, cols, x);
}
void multiply_by_cap_slopes(const double* tanhs, std::size_t cols, double* x) {
  multiply_row(tanhs, cols, x);
}

}  // namespace longshadow
