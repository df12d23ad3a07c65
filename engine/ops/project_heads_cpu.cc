#include <algorithm>

#include "engine/ops/project_heads.h"
#include "engine/ops/tile_scratch.h"

namespace longshadow {
namespace {

/// Calls separate(rows, heads of `to` from the first of these rows on) with each tile of x Wᵀ +
/// bias; as in linear(), a tile of weights stays in cache while the rows pass by.
template <class Device, class T, class P, class Q, class Separate>
void for_each_tile(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                   MatrixView<const T> bias, HeadRows<Q> to, const Separate& separate) {
  const std::size_t tile_rows = std::min(x.rows, kRowTile);
  const std::size_t row_tiles = x.rows / tile_rows;
  device.parallel_for(weights.n_tiles() * row_tiles, [&](std::size_t task) {
    struct Sums;
    const std::size_t tile = task / row_tiles;
    const std::size_t first_row = task % row_tiles * tile_rows;
    const std::size_t first_col = weights.tile_begin(tile);
    const std::size_t width = weights.tile_width(tile);
    const MatrixView<T> sums = tile_scratch<T, Sums>(device, tile_rows, weights.padded_width(tile));
    weights.multiply_tile(tile, x.row_range(first_row, tile_rows), sums);
    if (bias.rows != 0) {
      for (std::size_t r = 0; r < tile_rows; ++r) {
        for (std::size_t c = 0; c < width; ++c) sums.row(r)[c] += bias.data[first_col + c];
      }
    }
    const HeadRows<Q> heads = to.part(first_col / to.head_dim, width / to.head_dim, first_row);
    separate(first_row, MatrixView<const T>(sums.column_range(0, width)), heads);
  });
}

}  // namespace

template <class Device, class T, class P, class Q>
void project_heads(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                   MatrixView<const T> bias, HeadRows<Q> to) {
  for_each_tile(
      device, x, weights, bias, to,
      [](std::size_t, MatrixView<const T> rows, HeadRows<Q> heads) { split_heads(rows, heads); });
}

template <class Device, class T, class P, class Q>
void project_rotated_heads(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                           MatrixView<const T> bias, const RotaryTable<T>& table,
                           std::span<const std::uint32_t> positions, HeadRows<Q> to) {
  for_each_tile(device, x, weights, bias, to,
                [&](std::size_t first_row, MatrixView<const T> rows, HeadRows<Q> heads) {
                  rotate_heads(table, positions.subspan(first_row, rows.rows), rows, heads);
                });
}

#define LONGSHADOW_INSTANTIATE(T, P, Q)                                                   \
  template void project_heads(Cpu&, MatrixView<const P>, const PackedWeights<P>&,         \
                              MatrixView<const T>, HeadRows<Q>);                          \
  template void project_rotated_heads(Cpu&, MatrixView<const P>, const PackedWeights<P>&, \
                                      MatrixView<const T>, const RotaryTable<T>&,         \
                                      std::span<const std::uint32_t>, HeadRows<Q>);
LONGSHADOW_INSTANTIATE(float, float, float)
LONGSHADOW_INSTANTIATE(float, BF16, BF16)
LONGSHADOW_INSTANTIATE(float, BF16, float)
LONGSHADOW_INSTANTIATE(double, double, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
