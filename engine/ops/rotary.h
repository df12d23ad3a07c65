#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/heads.h"

namespace longshadow {

/// scale * cos and scale * sin of position * frequency, each [positions, d / 2], computed in f64.
template <class T>
struct RotaryTable {
  Matrix<T> cos;
  Matrix<T> sin;
};

/// frequencies [d / 2], radians per position; scale: what a rotation also makes a vector longer by.
template <class Device, class T>
RotaryTable<T> make_rotary_table(Device& device, std::span<const double> frequencies,
                                 std::size_t positions, double scale = 1.0);

/// Splits x [rows, heads * d] into heads and rotates each row by its position (Su et al. 2021,
/// arXiv 2104.09864), element i paired with i + d / 2. positions [rows], below the table's; `to`
/// gets the first `rows` rows of every head, in the precision P of the product they go into. On the
/// calling thread.
template <class T, class P>
void rotate_heads(const RotaryTable<T>& table, std::span<const std::uint32_t> positions,
                  MatrixView<const T> x, HeadRows<P> to);

/// The transpose of the rotation, for every head of x [rows, heads * d]: it carries gradients and,
/// where the table's scale is 1, rotates back. positions [rows], below the table's; `to`, shaped
/// like x, in the precision P of the product it goes into.
template <class Device, class T, class P>
void rotate_back(Device& device, const RotaryTable<T>& table,
                 std::span<const std::uint32_t> positions, MatrixView<const T> x, MatrixView<P> to);

}  // namespace longshadow
