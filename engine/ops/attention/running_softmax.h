#pragma once

#include <cstddef>
#include <limits>

namespace longshadow {

/// The softmax of one row as far as its tiles of columns have been seen (Milakov and Gimelshein
/// 2018, arXiv 1805.02867).
template <class T>
struct RunningSoftmax {
  T maximum = -std::numeric_limits<T>::infinity();  ///< of score scale
  double sum = 0;                                   ///< of exp(score scale - maximum)

  /// The log of the sum of exp(score scale).
  T log_normaliser() const;
};

/// Turns a row's scores of one tile, -infinity where a column is hidden, into
/// exp(score scale - maximum) and returns what the sums gathered before must be multiplied with.
/// cols is a multiple of the lanes.
template <class T>
T absorb_scores(T* scores, std::size_t cols, T scale, RunningSoftmax<T>& row);

}  // namespace longshadow
