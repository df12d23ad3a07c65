#include <algorithm>

#include "engine/backend/cpu.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/product_tiles.h"
#include "engine/ops/common/tile_scratch.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {
namespace {

template <class T>
LONGSHADOW_PER_CPU void add_row(const T* from, std::size_t cols, T* to) {
  for (std::size_t c = 0; c < cols; ++c) to[c] += from[c];
}

void check_linear(ConstTensorView x, const PackedWeights& weights, TensorView y) {
  require_product_rows("linear", "x.rows", x.rows);
  require_shape("linear", "x", x, x.rows, weights.inputs());
  require_shape("linear", "y", y, x.rows, weights.outputs());
}

template <class T, class P>
void linear_on_cpu(Cpu& device, MatrixView<const P> x, const PackedWeights& weights,
                   MatrixView<T> y, Write write) {
  for_each_product_tile(device, weights, x.rows, [&](const ProductTile& part) {
    struct Sums;
    const std::size_t tile = part.tile;
    const MatrixView<T> sums = tile_scratch<T, Sums>(device, part.rows, weights.padded_width(tile));
    weights.multiply_tile(tile, x.row_range(part.first_row, part.rows), sums);
    const MatrixView<T> out = y.row_range(part.first_row, part.rows)
                                  .column_range(weights.tile_begin(tile), weights.tile_width(tile));
    for (std::size_t r = 0; r < part.rows; ++r) {
      if (write == Write::add) {
        add_row<T>(sums.row(r), out.cols, out.row(r));
      } else {
        std::copy_n(sums.row(r), out.cols, out.row(r));
      }
    }
  });
}

}  // namespace

void linear(Device& device, ConstTensorView x, const PackedWeights& weights, TensorView y,
            Write write) {
  check_linear(x, weights, y);
  if (LinearKernel::ran_elsewhere(device, x, weights, y, write)) return;
  with_precisions("linear", y.element, weights.element(), [&]<class T, class P>() {
    linear_on_cpu<T, P>(cpu_of(device), x.as<P>(), weights, y.as<T>(), write);
  });
}

}  // namespace longshadow
