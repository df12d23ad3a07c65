#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/core/matrix.h"
#include "engine/ops/cache/packing.h"

namespace longshadow {

/// Throws UsageError for bits or a group that there is not.
void check_quantization(const Quantization& quantization);

/// Rows [n, d] of one head's keys or values in a device's memory, stored in few bits as pack_rows()
/// makes them.
class PackedRows {
 public:
  /// Throws as check_quantization() does.
  PackedRows(Device& device, ConstTensorView rows, GroupAxis axis,
             const Quantization& quantization);

  std::size_t rows() const { return elements_.rows(); }
  /// into [rows, cols], as it was packed
  void unpack(Device& device, TensorView into) const;
  /// The size of the elements, scales and minima.
  std::size_t bytes() const { return elements_.bytes() + groups_.bytes(); }

 private:
  GroupAxis axis_;
  Quantization quantization_;
  Matrix<std::uint8_t> elements_;
  Matrix<PackedGroup> groups_;
};

/// Each whole group of rows of one head becomes what it is packed and unpacked again; the rows
/// behind the last one stay. Returns the bytes that all take: packed, and as they are.
std::size_t round_through_packing(Device& device, TensorView rows, GroupAxis axis,
                                  const Quantization& quantization);

}  // namespace longshadow
