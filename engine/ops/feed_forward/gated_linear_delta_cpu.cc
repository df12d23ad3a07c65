#include <algorithm>

#include "engine/backend/cpu.h"
#include "engine/ops/common/product_tiles.h"
#include "engine/ops/common/tile_scratch.h"
#include "engine/ops/feed_forward/gate_delta.h"
#include "engine/ops/feed_forward/gated_linear_delta.h"

namespace longshadow {

namespace {

void check_gated_linear_delta(ConstTensorView dx, const GatedLinearView& full,
                              std::span<const PairedRows> pairs, TensorView out) {
  if constexpr (kContracts) {
    constexpr const char* kName = "gated_linear_delta";
    const std::size_t outputs = full.gate_weights.outputs();
    require_multiple(kName, "dx.rows", dx.rows, kRowTile);
    require_at_least(kName, "dx.rows", dx.rows, kRowTile);
    require_shape(kName, "dx", dx, dx.rows, full.gate_weights.inputs());
    require_weights(kName, "up_weights", full.up_weights, outputs, full.gate_weights.inputs());
    require_shape(kName, "gate", full.gate, full.gate.rows, outputs);
    require_shape(kName, "up", full.up, full.gate.rows, outputs);
    require_shape(kName, "out", out, dx.rows, outputs);
    require_pairs(kName, pairs, full.gate.rows, dx.rows);
    std::size_t end = 0;
    for (const PairedRows& pair : pairs) {
      require_at_least(kName, "a pair's first_row", pair.first_row, end);
      end = pair.first_row + pair.n_rows;
    }
  }
}

template <class T, class P>
void gated_linear_delta_on_cpu(Cpu& device, MatrixView<const P> dx, const GatedLinear<T>& full,
                               std::span<const PairedRows> pairs, MatrixView<P> out) {
  const PackedWeights& weights = full.gate_weights;
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
        gate_delta(full.activation, full.gate.row(full_row) + first_col,
                   full.up.row(full_row) + first_col, dgate.row(row - first_row),
                   dup.row(row - first_row), weights.tile_width(tile), out.row(row) + first_col);
      }
    }
  });
}

}  // namespace

void gated_linear_delta(Device& device, ConstTensorView dx, const GatedLinearView& full,
                        std::span<const PairedRows> pairs, TensorView out) {
  check_gated_linear_delta(dx, full, pairs, out);
  if (GatedLinearDeltaKernel::ran_elsewhere(device, dx, full, pairs, out)) return;
  with_precisions("gated_linear_delta", full.gate.element, dx.element, [&]<class T, class P>() {
    gated_linear_delta_on_cpu<T, P>(cpu_of(device), dx.as<P>(), full.as<T>(), pairs, out.as<P>());
  });
}

}  // namespace longshadow
