#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/devices.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/heads.h"
#include "engine/ops/rotary.h"

namespace longshadow {

/// to = x Wᵀ + bias with each head's columns apart, in the precision Q of the product it goes into:
/// x [rows, in], rows kFewRows or a multiple of kRowTile, W [heads d, in] packed in whole heads,
/// bias [1, heads d] or empty; the first `rows` rows of every head of `to` are written. The product
/// itself exists as tiles only.
template <class T, class P, class Q>
void project_heads(Cpu& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                   MatrixView<const T> bias, HeadRows<Q> to);
template <class T, class P, class Q>
void project_heads(Cuda& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                   MatrixView<const T> bias, HeadRows<Q> to);

/// The same, each row then rotated by its position. positions [rows], below the table's.
template <class T, class P, class Q>
void project_rotated_heads(Cpu& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                           MatrixView<const T> bias, const RotaryTable<T>& table,
                           std::span<const std::uint32_t> positions, HeadRows<Q> to);
template <class T, class P, class Q>
void project_rotated_heads(Cuda& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                           MatrixView<const T> bias, const RotaryTable<T>& table,
                           std::span<const std::uint32_t> positions, HeadRows<Q> to);

template <class T, class P, class Q>
void check_project_heads(MatrixView<const P> x, const PackedWeights<P>& weights,
                         MatrixView<const T> bias, HeadRows<Q> to) {
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
void check_project_rotated_heads(MatrixView<const P> x, const PackedWeights<P>& weights,
                                 MatrixView<const T> bias, const RotaryTable<T>& table,
                                 std::span<const std::uint32_t> positions, HeadRows<Q> to) {
  constexpr const char* kName = "project_rotated_heads";
  check_project_heads(x, weights, bias, to);
  require_equal(kName, "to.head_dim", to.head_dim, 2 * table.cos.cols());
  require_equal(kName, "positions.size()", positions.size(), x.rows);
  require_below(kName, "positions", positions, table.cos.rows());
}

}  // namespace longshadow
