#pragma once

#include <type_traits>

#include "engine/ops/common/rounding.h"
#include "engine/ops/common/tile_scratch.h"

namespace longshadow {

/// A dense tile as a factor of a product in precision P: itself, or a copy rounded to P in the
/// thread's scratch of Tag, valid until the next call with that Tag.
template <class P, class Tag, class T>
MatrixView<const P> rounded_tile(Cpu& cpu, MatrixView<const T> tile) {
  if constexpr (std::is_same_v<T, P>) {
    return tile;
  } else {
    const MatrixView<P> rounded = tile_scratch<P, Tag>(cpu, tile.rows, tile.cols);
    round_rows(tile, rounded);
    return rounded;
  }
}

}  // namespace longshadow
