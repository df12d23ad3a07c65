#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/core/range.h"
#include "engine/cuda/launch.h"
#include "engine/ops/common/rounding.h"

namespace longshadow {

/// Tokens whose logits exist at a time: enough for a product that fills a card with any number of
/// rows, while the logits of some thousand rows are tens of megabytes.
inline constexpr std::size_t kVocabularyTile = 4096;

/// Calls body(tokens) for one tile of the vocabulary after the other.
template <class Body>
void for_each_vocabulary_tile(std::size_t vocab_size, const Body& body) {
  for (std::size_t first = 0; first < vocab_size; first += kVocabularyTile) {
    body(Range{first, std::min(first + kVocabularyTile, vocab_size)});
  }
}

/// The dot product of two rows in f64, in every lane.
template <class A, class B>
__device__ double warp_dot(const A* a, const B* b, std::size_t size) {
  double total = 0;
  for (std::size_t i = lane(); i < size; i += kWarp) {
    total += widened<double>(a[i]) * widened<double>(b[i]);
  }
  return warp_sum(total);
}

}  // namespace longshadow
