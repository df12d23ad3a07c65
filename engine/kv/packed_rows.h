#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/core/matrix.h"

namespace longshadow {

/// How cached keys or values are rounded to integers.
struct Quantization {
  std::size_t bits = 8;    ///< of an element: 8 or 4
  std::size_t group = 64;  ///< elements that share a scale and a minimum: 32 or 64
};

/// Throws UsageError for bits or a group that there is not.
void check_quantization(const Quantization& quantization);

/// Which elements form a group.
enum class GroupAxis {
  rows,     ///< of one channel, in consecutive rows: for keys, whose channels differ in size
  columns,  ///< of one row, in consecutive channels: for values
};

/// Rows [n, d] of one head's keys or values, stored in few bits: x becomes
/// round((x - minimum) / scale), where scale is the group's range over 2^bits - 1, so that it comes
/// back within half a scale. Groups and axes are those of KIVI (Liu et al. 2024, KIVI: A
/// Tuning-Free Asymmetric 2bit Quantization for KV Cache, arXiv 2402.02750); scales and minima are
/// f32. The last group of a row or column holds what is left.
class PackedRows {
 public:
  /// Throws as check_quantization() does.
  template <class T>
  PackedRows(MatrixView<const T> rows, GroupAxis axis, const Quantization& quantization);

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  /// into [rows, cols]
  template <class T>
  void unpack(MatrixView<T> into) const;
  /// What the elements, scales and minima take.
  std::size_t bytes() const;

 private:
  struct Group {
    float scale;
    float minimum;
  };

  /// Calls visit(row, column, index of the group) for every element.
  template <class Visit>
  void for_each_element(Visit&& visit) const;
  std::size_t bytes_per_row() const;

  std::size_t rows_;
  std::size_t cols_;
  GroupAxis axis_;
  Quantization quantization_;
  std::vector<std::uint8_t>
      elements_;               ///< rows of whole bytes; of two 4-bit ones the low bits first
  std::vector<Group> groups_;  ///< [rows / group, cols] or [rows, cols / group], rounded up
};

/// Each whole group of rows of one head becomes what it is packed and unpacked again; the rows
/// behind the last one stay. Returns the bytes that all take: packed, and as they are.
template <class T>
std::size_t round_through_packing(MatrixView<T> rows, GroupAxis axis,
                                  const Quantization& quantization);

}  // namespace longshadow
