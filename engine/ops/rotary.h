#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/heads.h"

namespace longshadow {

/// scale * cos and scale * sin of position * frequency, each [positions, d / 2], computed in f64.
template <class T>
struct RotaryTable {
  Matrix<T> cos;
  Matrix<T> sin;
};

/// frequencies [d / 2], radians per position; scale: what a rotation also makes a vector longer by.
template <class T>
RotaryTable<T> make_rotary_table(Cpu& device, std::span<const double> frequencies,
                                 std::size_t positions, double scale = 1.0);
template <class T>
RotaryTable<T> make_rotary_table(Cuda& device, std::span<const double> frequencies,
                                 std::size_t positions, double scale = 1.0);

/// Splits x [rows, heads * d] into heads and rotates each row by its position (Su et al. 2021,
/// arXiv 2104.09864), element i paired with i + d / 2. positions [rows], below the table's; `to`
/// gets the first `rows` rows of every head, in the precision P of the product they go into. On the
/// calling thread.
template <class T, class P>
void rotate_heads(const RotaryTable<T>& table, std::span<const std::uint32_t> positions,
                  MatrixView<const T> x, HeadRows<P> to);

/// Which way rows are rotated: by their positions, or by the transpose of that, which carries
/// gradients and, where the table's scale is 1, undoes it.
enum class Turn { forward, back };

/// Rotates every head of x [rows, heads * d]. positions [rows], below the table's; `to`, shaped
/// like x, may be x, and is in the precision P of the product it goes into.
template <class T, class P>
void rotate_rows(Cpu& device, const RotaryTable<T>& table, Turn turn,
                 std::span<const std::uint32_t> positions, MatrixView<const T> x, MatrixView<P> to);
template <class T, class P>
void rotate_rows(Cuda& device, const RotaryTable<T>& table, Turn turn,
                 std::span<const std::uint32_t> positions, MatrixView<const T> x, MatrixView<P> to);

/// Requires rows x of whole heads of the table's size, at positions that the table has.
template <class T>
void require_rotation(const char* operation, const RotaryTable<T>& table,
                      std::span<const std::uint32_t> positions, MatrixView<const T> x) {
  require_equal(operation, "positions.size()", positions.size(), x.rows);
  require_below(operation, "positions", positions, table.cos.rows());
  require_multiple(operation, "x.cols", x.cols, 2 * table.cos.cols());
}

template <class T, class P>
void check_rotate_rows(const RotaryTable<T>& table, std::span<const std::uint32_t> positions,
                       MatrixView<const T> x, MatrixView<P> to) {
  require_rotation("rotate_rows", table, positions, x);
  require_shape("rotate_rows", "to", to, x.rows, x.cols);
}

}  // namespace longshadow
