#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/projection/heads.h"

namespace longshadow {

/// scale * cos and scale * sin of position * frequency, each [positions, d / 2], computed in f64.
/// A pair of frequency 0 is none that is rotated, and keeps its length: cos 1, sin 0.
struct RotaryTable {
  Tensor cos;
  Tensor sin;
};

/// The rows of a RotaryTable.
template <class T>
struct RotaryRows {
  MatrixView<const T> cos;
  MatrixView<const T> sin;
};

/// RotaryRows whose elements' type is known when the program runs.
struct RotaryView {
  ConstTensorView cos;
  ConstTensorView sin;

  RotaryView(const RotaryTable& table) : cos(table.cos.view()), sin(table.sin.view()) {}
  template <class T>
  RotaryRows<T> as() const {
    return {cos.as<T>(), sin.as<T>()};
  }
};

/// Fills cos and sin [positions, d / 2] as RotaryTable has them. frequencies [d / 2], radians per
/// position; scale: what a rotation also makes a vector longer by.
void fill_rotary_table(Device& device, std::span<const double> frequencies, double scale,
                       TensorView cos, TensorView sin);

/// fill_rotary_table() on other devices than the processor.
struct FillRotaryTableKernel
    : Operation<FillRotaryTableKernel, std::span<const double>, double, TensorView, TensorView> {};

inline RotaryTable make_rotary_table(Device& device, Element element,
                                     std::span<const double> frequencies, std::size_t positions,
                                     double scale = 1.0) {
  RotaryTable table{Tensor(device.memory(), element, positions, frequencies.size()),
                    Tensor(device.memory(), element, positions, frequencies.size())};
  fill_rotary_table(device, frequencies, scale, table.cos.view(), table.sin.view());
  return table;
}

/// Splits x [rows, heads * d] into heads and rotates each row by its position (Su et al. 2021,
/// arXiv 2104.09864), element i paired with i + d / 2. positions [rows], below the table's; `to`
/// gets the first `rows` rows of every head, in the precision P of the product they go into. On the
/// calling thread.
template <class T, class P>
void rotate_heads(const RotaryRows<T>& table, std::span<const std::uint32_t> positions,
                  MatrixView<const T> x, HeadRows<P> to);

/// Which way rows are rotated: by their positions, or by the transpose of that, which carries
/// gradients and, where the table's scale is 1, undoes it.
enum class Turn { forward, back };

/// Rotates every head of x [rows, heads * d]. positions [rows], below the table's; `to`, shaped
/// like x, may be x, and is in the precision P of the product it goes into.
void rotate_rows(Device& device, const RotaryView& table, Turn turn,
                 std::span<const std::uint32_t> positions, ConstTensorView x, TensorView to);

/// Requires rows x of whole heads of the table's size, at positions that the table has.
template <class Rotary, class View>
void require_rotation(const char* operation, const Rotary& table,
                      std::span<const std::uint32_t> positions, const View& x) {
  require_equal(operation, "positions.size()", positions.size(), x.rows);
  require_below(operation, "positions", positions, table.cos.rows);
  require_multiple(operation, "x.cols", x.cols, 2 * table.cos.cols);
}

/// rotate_rows() on other devices than the processor.
struct RotateRowsKernel : Operation<RotateRowsKernel, const RotaryView&, Turn,
                                    std::span<const std::uint32_t>, ConstTensorView, TensorView> {};

}  // namespace longshadow
