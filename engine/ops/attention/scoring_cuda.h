#pragma once

#include <cstddef>

#include "engine/cuda/launch.h"
#include "engine/ops/attention/attention.h"

namespace longshadow {

/// How kernels make scores of products q.k, as AttentionShape says.
template <class T>
class Scoring {
 public:
  explicit Scoring(const AttentionShape& shape)
      : is_capped_(shape.score.cap != 0),
        scale_(shape.score_scale<T>()),
        cap_scale_(is_capped_ ? shape.cap_scale<T>() : T{0}) {}

  bool is_capped() const { return is_capped_; }

  /// tanh(f q.k / cap), or the product itself where there is no cap.
  __device__ T capped(T product) const { return is_capped_ ? tanh(product * cap_scale_) : product; }
  /// The score of what capped() returned.
  __device__ T score_of_capped(T capped) const { return capped * scale_; }
  __device__ T score(T product) const { return score_of_capped(capped(product)); }
  /// The score's change when the product that capped() was made from changes; without a cap that
  /// does not matter.
  __device__ T score_change(T capped, T product_change) const {
    if (!is_capped_) return product_change * scale_;
    const T change = tanh(product_change * cap_scale_);
    return change * ((1 - capped) * (1 + capped)) / (1 + capped * change) * scale_;
  }

 private:
  bool is_capped_;
  T scale_;      ///< of capped()
  T cap_scale_;  ///< f / cap
};

}  // namespace longshadow
