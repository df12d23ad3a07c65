#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"

namespace longshadow {

/// Rows [first_row, first_row + rows) of a product with tile `tile` of the weights.
struct ProductTile {
  std::size_t tile;
  std::size_t first_row;
  std::size_t rows;
};

/// Calls body(ProductTile) for each part of a product of `rows` rows, which are a multiple of
/// kRowTile or kFewRows. Tiles of weights vary slowest, so that one stays in cache while the rows
/// pass by.
template <class Body>
void for_each_product_tile(Cpu& device, const PackedWeights& weights, std::size_t rows,
                           const Body& body) {
  const std::size_t tile_rows = std::min(rows, kRowTile);
  const std::size_t row_tiles = rows / tile_rows;
  device.parallel_for(weights.n_tiles() * row_tiles, [&](std::size_t task) {
    body(ProductTile{task / row_tiles, task % row_tiles * tile_rows, tile_rows});
  });
}

}  // namespace longshadow
