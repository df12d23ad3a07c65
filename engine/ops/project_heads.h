#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/ops/heads.h"
#include "engine/ops/rotary.h"

namespace longshadow {

/// to = x Wᵀ + bias with each head's columns apart, in the precision Q of the product it goes into:
/// x [rows, in], rows kFewRows or a multiple of kRowTile, W [heads d, in] packed in whole heads,
/// bias [1, heads d] or empty; the first `rows` rows of every head of `to` are written. The product
/// itself exists as tiles only.
template <class Device, class T, class P, class Q>
void project_heads(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                   MatrixView<const T> bias, HeadRows<Q> to);

/// The same, each row then rotated by its position. positions [rows], below the table's.
template <class Device, class T, class P, class Q>
void project_rotated_heads(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights,
                           MatrixView<const T> bias, const RotaryTable<T>& table,
                           std::span<const std::uint32_t> positions, HeadRows<Q> to);

}  // namespace longshadow
