#pragma once

#include <cstddef>
#include <limits>

#include "engine/cuda/launch.h"

namespace longshadow {

/// Less than any logit.
template <class T>
inline constexpr T kNothing = -std::numeric_limits<T>::infinity();

/// A value of a row, and where it is.
template <class T>
struct Entry {
  T value;
  int index;
};

/// The largest of all lanes' entries, among equals the one of the lowest index.
template <class T>
__device__ Entry<T> warp_first_largest(Entry<T> entry) {
  const T value = warp_max(entry.value);
  const int lowest = -warp_max(entry.value == value ? -entry.index : -2147483647);
  return {value, lowest};
}

/// The smallest of a row's k largest; what is not a number is smaller than anything.
template <class T>
__device__ Entry<T> smallest_of_top_k(const T* top, int k) {
  Entry<T> negated{kNothing<T>, 0};
  for (int i = static_cast<int>(lane()); i < k; i += kWarp) {
    const T value = top[i] >= kNothing<T> ? -top[i] : -kNothing<T>;
    if (value > negated.value) negated = {value, i};
  }
  negated = warp_first_largest(negated);
  return {-negated.value, negated.index};
}

/// Absorbs, by one warp, a tile of a row's logits, those of the tokens [first_token, first_token +
/// width): top [k] has the row's k largest so far, in no order, the vocabulary's first k at first.
/// Lane i % kWarp alone writes entry i. What is not a number stays only where there are too few
/// others.
template <class T>
__device__ void offer_top_k(const T* logits, int width, int first_token, int k, T* top) {
  for (int c = static_cast<int>(lane()); c < width && first_token + c < k; c += kWarp) {
    top[first_token + c] = logits[c];
  }
  Entry<T> least = smallest_of_top_k(top, k);
  const int begin = k > first_token ? (k - first_token) / static_cast<int>(kWarp) * 32 : 0;
  for (int c = begin; c < width; c += kWarp) {
    const int mine = c + static_cast<int>(lane());
    const T logit = mine < width && first_token + mine >= k ? logits[mine] : kNothing<T>;
    unsigned waiting = __ballot_sync(kAllLanes, logit > least.value);
    while (waiting != 0) {
      const T candidate = __shfl_sync(kAllLanes, logit, static_cast<unsigned>(__ffs(waiting) - 1));
      waiting &= waiting - 1;
      if (!(candidate > least.value)) continue;
      if (static_cast<unsigned>(least.index) % kWarp == lane()) top[least.index] = candidate;
      least = smallest_of_top_k(top, k);
    }
  }
}

}  // namespace longshadow
