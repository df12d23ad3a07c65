#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// Columns that one tile of attention spans at most, and the multiple that widths are padded to.
inline constexpr std::size_t kMaxColumnTile = 512;
inline constexpr std::size_t kMinColumnTile = 64;

/// One tile: its first column, its width as computed, and how many of the columns are real.
struct ColumnTile {
  std::size_t begin;
  std::size_t width;
  std::size_t used;
};

/// Splits `columns` into tiles of 512, then 256, 128 and 64 columns, the last one padded. Few
/// shapes means few products to generate code for.
inline std::vector<ColumnTile> column_tiles(std::size_t columns) {
  std::vector<ColumnTile> tiles;
  std::size_t begin = 0;
  for (std::size_t width = kMaxColumnTile; begin < columns; width /= 2) {
    while (columns - begin >= width || (width == kMinColumnTile && begin < columns)) {
      const std::size_t used = columns - begin < width ? columns - begin : width;
      tiles.push_back({begin, width, used});
      begin += used;
    }
    if (width == kMinColumnTile) break;
  }
  return tiles;
}

}  // namespace longshadow
