#pragma once

#include "engine/core/matrix.h"
#include "engine/cuda/launch.h"

/// The caps of logit_cap.h on a CUDA device.
namespace longshadow {

/// A thread an element of logits: a capped logit; `tanhs`, unless it has no rows, becomes
/// tanh(x / cap).
template <class T>
__global__ void cap_kernel(MatrixView<T> logits, T cap, MatrixView<T> tanhs) {
  const std::size_t i = global_thread();
  if (i >= logits.rows * logits.cols) return;
  const std::size_t r = i / logits.cols, c = i % logits.cols;
  const T t = tanh(logits.row(r)[c] / cap);
  if (tanhs.rows != 0) tanhs.row(r)[c] = t;
  logits.row(r)[c] = t * cap;
}

/// Replaces logits by capped ones unless cap is 0; tanhs as cap_kernel() has it.
template <class T>
void cap_logits(Cuda& device, MatrixView<T> logits, double cap, MatrixView<T> tanhs = {}) {
  if (cap == 0) return;
  launch_elements(device, cap_kernel<T>, logits.rows * logits.cols, logits, static_cast<T>(cap),
                  tanhs);
}

/// The derivative of a capped logit by the logit.
template <class T>
__device__ T cap_slope(T tanh_of_logit) {
  return (1 - tanh_of_logit) * (1 + tanh_of_logit);
}

/// The change of a capped logit when the logit changes by `change`.
template <class T>
__device__ T capped_change(T tanh_of_logit, T change, T cap) {
  const T step = tanh(change / cap);
  return cap * (step * cap_slope(tanh_of_logit) / (1 + tanh_of_logit * step));
}

}  // namespace longshadow
