#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// How cached keys or values are rounded to integers.
struct Quantization {
  std::size_t bits = 8;    ///< of an element: 8 or 4
  std::size_t group = 64;  ///< elements that share a scale and a minimum: 32 or 64
};

/// Which elements form a group.
enum class GroupAxis {
  rows,     ///< of one channel, in consecutive rows: for keys, whose channels differ in size
  columns,  ///< of one row, in consecutive channels: for values
};

/// The numbers that the elements of a group share.
struct PackedGroup {
  float scale;
  float minimum;
};

/// The shapes of rows [n, d] in few bits; the last group of a row or column holds what is left.
struct PackedShape {
  std::size_t rows_of_group, cols_of_group;
  std::size_t group_rows, group_cols;  ///< of the matrix of groups
  std::size_t elements_of_byte;        ///< of two, the low bits are the first's
  std::size_t bytes_of_row;

  constexpr PackedShape(std::size_t n, std::size_t d, GroupAxis axis, const Quantization& by)
      : rows_of_group(axis == GroupAxis::rows ? by.group : 1),
        cols_of_group(axis == GroupAxis::rows ? 1 : by.group),
        group_rows((n + rows_of_group - 1) / rows_of_group),
        group_cols((d + cols_of_group - 1) / cols_of_group),
        elements_of_byte(8 / by.bits),
        bytes_of_row((d + elements_of_byte - 1) / elements_of_byte) {}
};

/// rows [n, d] in few bits: x becomes round((x - minimum) / scale), where scale is the group's
/// range over 2^bits - 1, so that it comes back within half a scale. Groups and axes are those of
/// KIVI (Liu et al. 2024, KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache, arXiv
/// 2402.02750).
///   elements [n, bytes_of_row]; groups [group_rows, group_cols].
void pack_rows(Device& device, ConstTensorView rows, GroupAxis axis,
               const Quantization& quantization, MatrixView<std::uint8_t> elements,
               MatrixView<PackedGroup> groups);

/// The inverse: rows [n, d] = level * scale + minimum, computed in f64, where the product is exact,
/// so that every device gives the same bits, whether it fuses the two or not.
void unpack_rows(Device& device, MatrixView<const std::uint8_t> elements,
                 MatrixView<const PackedGroup> groups, GroupAxis axis,
                 const Quantization& quantization, TensorView rows);

/// Requires the shapes that rows [n, d] are packed into.
inline void require_packed(const char* operation, std::size_t n, std::size_t d, GroupAxis axis,
                           const Quantization& quantization,
                           MatrixView<const std::uint8_t> elements,
                           MatrixView<const PackedGroup> groups) {
  if constexpr (kContracts) {
    require_divisor(operation, "quantization.bits", quantization.bits, 8);
    require_at_least(operation, "quantization.group", quantization.group, 1);
    const PackedShape shape(n, d, axis, quantization);
    require_shape(operation, "elements", elements, n, shape.bytes_of_row);
    require_shape(operation, "groups", groups, shape.group_rows, shape.group_cols);
  }
}

/// pack_rows() on other devices than the processor.
struct PackRowsKernel : Operation<PackRowsKernel, ConstTensorView, GroupAxis, const Quantization&,
                                  MatrixView<std::uint8_t>, MatrixView<PackedGroup>> {};

/// unpack_rows() on other devices than the processor.
struct UnpackRowsKernel
    : Operation<UnpackRowsKernel, MatrixView<const std::uint8_t>, MatrixView<const PackedGroup>,
                GroupAxis, const Quantization&, TensorView> {};

}  // namespace longshadow
