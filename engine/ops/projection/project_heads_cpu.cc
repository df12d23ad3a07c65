#include "engine/backend/cpu.h"
#include "engine/ops/common/product_tiles.h"
#include "engine/ops/common/tile_scratch.h"
#include "engine/ops/projection/project_heads.h"

namespace longshadow {
namespace {

/// Calls separate(first row, rows, heads of `to` from that row on) with each tile of x Wᵀ + bias.
template <class T, class P, class Q, class Separate>
void for_each_tile(Cpu& device, MatrixView<const P> x, const PackedWeights& weights,
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

void check_project_heads(ConstTensorView x, const PackedWeights& weights, ConstTensorView bias,
                         HeadsView to) {
  if constexpr (kContracts) {
    constexpr const char* kName = "project_heads";
    require_product_rows(kName, "x.rows", x.rows);
    require_shape(kName, "x", x, x.rows, weights.inputs());
    require_heads(kName, "to", to, weights.outputs() / to.head_dim, x.rows, to.head_dim);
    for (std::size_t tile = 0; tile < weights.n_tiles(); ++tile) {
      require_multiple(kName, "the width of a tile of weights", weights.tile_width(tile),
                       to.head_dim);
    }
    if (bias.rows != 0) require_shape(kName, "bias", bias, 1, weights.outputs());
  }
}

template <class T, class P, class Q>
void project_heads_on_cpu(Cpu& device, MatrixView<const P> x, const PackedWeights& weights,
                          MatrixView<const T> bias, HeadRows<Q> to) {
  for_each_tile(
      device, x, weights, bias, to,
      [](std::size_t, MatrixView<const T> rows, HeadRows<Q> heads) { split_heads(rows, heads); });
}

void check_project_rotated_heads(ConstTensorView x, const PackedWeights& weights,
                                 ConstTensorView bias, const RotaryView& table,
                                 std::span<const std::uint32_t> positions, HeadsView to) {
  constexpr const char* kName = "project_rotated_heads";
  check_project_heads(x, weights, bias, to);
  require_equal(kName, "to.head_dim", to.head_dim, 2 * table.cos.cols);
  require_equal(kName, "positions.size()", positions.size(), x.rows);
  require_below(kName, "positions", positions, table.cos.rows);
}

template <class T, class P, class Q>
void project_rotated_heads_on_cpu(Cpu& device, MatrixView<const P> x, const PackedWeights& weights,
                                  MatrixView<const T> bias, const RotaryRows<T>& table,
                                  std::span<const std::uint32_t> positions, HeadRows<Q> to) {
  for_each_tile(device, x, weights, bias, to,
                [&](std::size_t first_row, MatrixView<const T> rows, HeadRows<Q> heads) {
                  rotate_heads(table, positions.subspan(first_row, rows.rows), rows, heads);
                });
}

}  // namespace

void project_heads(Device& device, ConstTensorView x, const PackedWeights& weights,
                   ConstTensorView bias, HeadsView to) {
  check_project_heads(x, weights, bias, to);
  if (ProjectHeadsKernel::ran_elsewhere(device, x, weights, bias, to)) return;
  with_projection("project_heads", weights.element(), to.element, [&]<class T, class P, class Q>() {
    project_heads_on_cpu<T, P, Q>(cpu_of(device), x.as<P>(), weights, bias.as<T>(), to.as<Q>());
  });
}

void project_rotated_heads(Device& device, ConstTensorView x, const PackedWeights& weights,
                           ConstTensorView bias, const RotaryView& table,
                           std::span<const std::uint32_t> positions, HeadsView to) {
  check_project_rotated_heads(x, weights, bias, table, positions, to);
  if (ProjectRotatedHeadsKernel::ran_elsewhere(device, x, weights, bias, table, positions, to))
    return;
  with_projection(
      "project_rotated_heads", weights.element(), to.element, [&]<class T, class P, class Q>() {
        project_rotated_heads_on_cpu<T, P, Q>(cpu_of(device), x.as<P>(), weights, bias.as<T>(),
                                              table.as<T>(), positions, to.as<Q>());
      });
}

}  // namespace longshadow
