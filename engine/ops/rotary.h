#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/heads.h"

namespace longshadow {

/// cos and sin of position * frequency, each [positions, d / 2], computed in f64.
template <class T>
struct RotaryTable {
  Matrix<T> cos;
  Matrix<T> sin;
};

/// frequencies [d / 2], radians per position.
template <class Device, class T>
RotaryTable<T> make_rotary_table(Device& device, std::span<const double> frequencies,
                                 std::size_t positions);

/// Splits x [rows, heads * d] into heads and rotates each row by its position (Su et al. 2021,
/// arXiv 2104.09864), element i paired with i + d / 2. positions [rows], below the table's; `to`
/// gets the first `rows` rows of every head, in the precision P of the product they go into. On the
/// calling thread.
template <class T, class P>
void rotate_heads(const RotaryTable<T>& table, std::span<const std::uint32_t> positions,
                  MatrixView<const T> x, HeadRows<P> to);

/// Rotates every head of x [rows, heads * d] back: the inverse of the rotation, which is also its
/// transpose and so carries gradients. positions [rows], below the table's; `to`, shaped like x, in
/// the precision P of the product it goes into.
template <class Device, class T, class P>
void rotate_back(Device& device, const RotaryTable<T>& table,
                 std::span<const std::uint32_t> positions, MatrixView<const T> x, MatrixView<P> to);

}  // namespace longshadow
