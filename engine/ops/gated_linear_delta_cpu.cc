#include <algorithm>

#include "engine/ops/gated_linear_delta.h"
#include "engine/ops/product_tiles.h"
#include "engine/ops/silu_gate_delta.h"
#include "engine/ops/tile_scratch.h"

namespace longshadow {

template <class T, class P>
void gated_linear_delta(Cpu& device, MatrixView<const P> dx, const GatedLinear<T, P>& full,
                        std::span<const PairedRows> pairs, MatrixView<P> out) {
  check_gated_linear_delta(dx, full, pairs, out);
  const PackedWeights<P>& weights = full.gate_weights;
  for_each_product_tile(device, weights, dx.rows, [&](const ProductTile& part) {
    struct GateChanges;
    struct UpChanges;
    const std::size_t tile = part.tile;
    const std::size_t first_row = part.first_row;
    const MatrixView<const P> rows = dx.row_range(first_row, part.rows);
    const std::size_t width = weights.padded_width(tile);
    const MatrixView<T> dgate = tile_scratch<T, GateChanges>(device, part.rows, width);
    const MatrixView<T> dup = tile_scratch<T, UpChanges>(device, part.rows, width);
    weights.multiply_tile(tile, rows, dgate);
    full.up_weights.multiply_tile(tile, rows, dup);

    const std::size_t first_col = weights.tile_begin(tile);
    for (const PairedRows& pair : pairs) {
      const std::size_t begin = std::max(pair.first_row, first_row);
      const std::size_t end = std::min(pair.first_row + pair.n_rows, first_row + part.rows);
      for (std::size_t row = begin; row < end; ++row) {
        const std::size_t full_row = pair.full_row + row - pair.first_row;
        silu_gate_delta(full.gate.row(full_row) + first_col, full.up.row(full_row) + first_col,
                        dgate.row(row - first_row), dup.row(row - first_row),
                        weights.tile_width(tile), out.row(row) + first_col);
      }
    }
  });
}

#define LONGSHADOW_INSTANTIATE(T, P)                                                    \
  template void gated_linear_delta(Cpu&, MatrixView<const P>, const GatedLinear<T, P>&, \
                                   std::span<const PairedRows>, MatrixView<P>);
LONGSHADOW_INSTANTIATE(float, float)
LONGSHADOW_INSTANTIATE(float, BF16)
LONGSHADOW_INSTANTIATE(double, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
