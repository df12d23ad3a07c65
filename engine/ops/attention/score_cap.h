#pragma once

#include <cstddef>

#include "engine/ops/attention/attention.h"

namespace longshadow {

/// The soft cap of a model's scores: cap tanh(f q.k / cap) instead of f q.k (Gemma 2, arXiv
/// 2408.00118). Absent where the shape has none. Works on one row of a tile in place of q.k, whose
/// `cols` are a multiple of the lanes; the cap itself is the shape's score_scale().
template <class T>
class ScoreCap {
 public:
  explicit ScoreCap(const AttentionShape& shape)
      : exists_(shape.score.cap != 0), scale_(exists_ ? shape.cap_scale<T>() : T{0}) {}

  explicit operator bool() const { return exists_; }

  /// Products q.k become tanh(f q.k / cap).
  void apply(T* products, std::size_t cols) const;
  /// Changes of products become the changes of what apply() made of them, `capped`, with errors
  /// relative to themselves.
  void apply_to_changes(const T* capped, T* changes, std::size_t cols) const;
  /// slopes = 1 - capped²: gradients at f q.k are slopes times those at the scores.
  static void slopes(const T* capped, T* slopes, std::size_t cols);

 private:
  bool exists_;
  T scale_;  ///< f / cap
};

}  // namespace longshadow
