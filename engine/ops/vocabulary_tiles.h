#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/backend/tile_product.h"
#include "engine/core/matrix.h"
#include "engine/core/range.h"

namespace longshadow {

/// Tokens of the vocabulary whose logits one tile of the output product yields.
inline constexpr std::size_t kVocabularyTile = 256;

inline std::vector<Range> vocabulary_tiles(std::size_t vocab_size) {
  std::vector<Range> tiles;
  for (std::size_t begin = 0; begin < vocab_size; begin += kVocabularyTile) {
    tiles.push_back({begin, std::min(begin + kVocabularyTile, vocab_size)});
  }
  return tiles;
}

/// into [kRowTile, kVocabularyTile] = hidden [kRowTile, D] times the rows of output [V, D] from
/// tile.begin on. Every tile is computed whole: output has rows of zeros up to a multiple of
/// kVocabularyTile, and what their columns get means nothing.
template <class P, class T>
void multiply_vocabulary_tile(MatrixView<const P> hidden, MatrixView<const P> output, Range tile,
                              MatrixView<T> into) {
  tile_product<P, T>(hidden, output.row_range(tile.begin, kVocabularyTile), RightFactor::by_output,
                     into, false);
}

}  // namespace longshadow
