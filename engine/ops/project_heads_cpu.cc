#include "engine/ops/product_tiles.h"
#include "engine/ops/project_heads.h"
#include "engine/ops/tile_scratch.h"

namespace longshadow {
namespace {

/// Calls separate(first row, rows, heads of `to` from that row on) with each tile of x Wᵀ + bias.
template <class T, class P, class Q, class Separate>
void for_each_tile(Cpu& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                   MatrixView<const T> bias, HeadRows<Q> to, const Separate& separate) {
  for_each_product_tile(device, weights, x.rows, [&](const ProductTile& part) {
    struct Sums;
    const std::size_t first_col = weights.tile_begin(part.tile);
    const std::size_t width = weights.tile_width(part.tile);
    const MatrixView<T> sums =
        tile_scratch<T, Sums>(device, part.rows, weights.padded_width(part.tile));
    weights.multiply_tile(part.tile, x.row_range(part.first_row, part.rows), sums);
    if (bias.rows != 0) {
      for (std::size_t r = 0; r < part.rows; ++r) {
        for (std::size_t c = 0; c < width; ++c) sums.row(r)[c] += bias.data[first_col + c];
      }
    }
    const HeadRows<Q> heads = to.part(first_col / to.head_dim, width / to.head_dim, part.first_row);
    separate(part.first_row, MatrixView<const T>(sums.column_range(0, width)), heads);
  });
}

}  // namespace

template <class T, class P, class Q>
void project_heads(Cpu& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                   MatrixView<const T> bias, HeadRows<Q> to) {
  check_project_heads(x, weights, bias, to);
  for_each_tile(
      device, x, weights, bias, to,
      [](std::size_t, MatrixView<const T> rows, HeadRows<Q> heads) { split_heads(rows, heads); });
}

template <class T, class P, class Q>
void project_rotated_heads(Cpu& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                           MatrixView<const T> bias, const RotaryTable<T>& table,
                           std::span<const std::uint32_t> positions, HeadRows<Q> to) {
  check_project_rotated_heads(x, weights, bias, table, positions, to);
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
