#include <algorithm>

#include "engine/ops/linear.h"
#include "engine/ops/tile_scratch.h"

namespace longshadow {

template <class Device, class T, class P>
void linear(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights, MatrixView<T> y,
            Write write) {
  const std::size_t tile_rows = std::min(x.rows, kRowTile);
  const std::size_t row_tiles = x.rows / tile_rows;
  // Tiles of weights vary slowest, so that one stays in cache while the rows pass by.
  device.parallel_for(weights.n_tiles() * row_tiles, [&](std::size_t task) {
    struct Sums;
    const std::size_t tile = task / row_tiles;
    const std::size_t first_row = task % row_tiles * tile_rows;
    const MatrixView<T> sums = tile_scratch<T, Sums>(device, tile_rows, weights.padded_width(tile));
    weights.multiply_tile(tile, x.row_range(first_row, tile_rows), sums);
    const MatrixView<T> out = y.row_range(first_row, tile_rows)
                                  .column_range(weights.tile_begin(tile), weights.tile_width(tile));
    for (std::size_t r = 0; r < tile_rows; ++r) {
      if (write == Write::add) {
        for (std::size_t c = 0; c < out.cols; ++c) out.row(r)[c] += sums.row(r)[c];
      } else {
        std::copy_n(sums.row(r), out.cols, out.row(r));
      }
    }
  });
}

template void linear(Cpu&, MatrixView<const float>, const PackedWeights<float>&, MatrixView<float>,
                     Write);
template void linear(Cpu&, MatrixView<const BF16>, const PackedWeights<BF16>&, MatrixView<float>,
                     Write);
template void linear(Cpu&, MatrixView<const double>, const PackedWeights<double>&,
                     MatrixView<double>, Write);

}  // namespace longshadow
