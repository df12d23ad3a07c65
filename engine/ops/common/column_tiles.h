#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/range.h"
#include "engine/core/require.h"

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

/// Splits `columns` into tiles of `widest` (512, 256, 128 or 64) columns, then of half as many and
/// so on down to 64, the last one padded. Few shapes means few products to generate code for.
inline std::vector<ColumnTile> column_tiles(std::size_t columns,
                                            std::size_t widest = kMaxColumnTile) {
  require_multiple("column_tiles", "widest", widest, kMinColumnTile);
  require_divisor("column_tiles", "widest", widest, kMaxColumnTile);
  std::vector<ColumnTile> tiles;
  std::size_t begin = 0;
  for (std::size_t width = widest; begin < columns; width /= 2) {
    while (columns - begin >= width || (width == kMinColumnTile && begin < columns)) {
      const std::size_t used = columns - begin < width ? columns - begin : width;
      tiles.push_back({begin, width, used});
      begin += used;
    }
    if (width == kMinColumnTile) break;
  }
  return tiles;
}

/// Tiles of the columns before `first_cut`, and then `n_cuts` tiles of `cut` columns.
inline std::vector<ColumnTile> column_tiles_with_cuts(std::size_t first_cut, std::size_t cut,
                                                      std::size_t n_cuts) {
  std::vector<ColumnTile> tiles = column_tiles(first_cut);
  for (std::size_t i = 0; i < n_cuts; ++i) tiles.push_back({first_cut + i * cut, cut, cut});
  return tiles;
}

}  // namespace longshadow
