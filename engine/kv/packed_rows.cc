#include "engine/kv/packed_rows.h"

#include <string>

#include "engine/backend/device.h"
#include "engine/core/error.h"

namespace longshadow {

void check_quantization(const Quantization& quantization) {
  if (quantization.bits != 8 && quantization.bits != 4) {
    throw UsageError("keys and values are stored in 8 or 4 bits, found " +
                     std::to_string(quantization.bits));
  }
  if (quantization.group != 32 && quantization.group != 64) {
    throw UsageError("groups of 32 or 64 elements share a scale, found " +
                     std::to_string(quantization.group));
  }
}

PackedRows::PackedRows(Device& device, ConstTensorView rows, GroupAxis axis,
                       const Quantization& quantization)
    : axis_(axis), quantization_(quantization) {
  check_quantization(quantization);
  const PackedShape shape(rows.rows, rows.cols, axis, quantization);
  elements_ = Matrix<std::uint8_t>(device.memory(), rows.rows, shape.bytes_of_row);
  groups_ = Matrix<PackedGroup>(device.memory(), shape.group_rows, shape.group_cols);
  pack_rows(device, rows, axis, quantization, elements_.view(), groups_.view());
}

void PackedRows::unpack(Device& device, TensorView into) const {
  unpack_rows(device, elements_.view(), groups_.view(), axis_, quantization_, into);
}

std::size_t round_through_packing(Device& device, TensorView rows, GroupAxis axis,
                                  const Quantization& quantization) {
  const std::size_t n_packed = rows.rows / quantization.group * quantization.group;
  const TensorView whole = rows.row_range(0, n_packed);
  const PackedRows packed(device, whole, axis, quantization);
  packed.unpack(device, whole);
  return packed.bytes() + (rows.rows - n_packed) * rows.cols * size_of(rows.element);
}

}  // namespace longshadow
