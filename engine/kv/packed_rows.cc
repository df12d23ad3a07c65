#include "engine/kv/packed_rows.h"

#include <string>

#include "engine/backend/cuda/cuda.h"
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

template <class Device, class T>
PackedRows::PackedRows(Device& device, MatrixView<const T> rows, GroupAxis axis,
                       const Quantization& quantization)
    : axis_(axis), quantization_(quantization) {
  check_quantization(quantization);
  const PackedShape shape(rows.rows, rows.cols, axis, quantization);
  elements_ = Matrix<std::uint8_t>(device.memory(), rows.rows, shape.bytes_of_row);
  groups_ = Matrix<PackedGroup>(device.memory(), shape.group_rows, shape.group_cols);
  pack_rows(device, rows, axis, quantization, elements_.view(), groups_.view());
}

template <class Device, class T>
void PackedRows::unpack(Device& device, MatrixView<T> into) const {
  unpack_rows(device, elements_.view(), groups_.view(), axis_, quantization_, into);
}

template <class Device, class T>
std::size_t round_through_packing(Device& device, MatrixView<T> rows, GroupAxis axis,
                                  const Quantization& quantization) {
  const std::size_t n_packed = rows.rows / quantization.group * quantization.group;
  const MatrixView<T> whole = rows.row_range(0, n_packed);
  const PackedRows packed(device, MatrixView<const T>(whole), axis, quantization);
  packed.unpack(device, whole);
  return packed.bytes() + (rows.rows - n_packed) * rows.cols * sizeof(T);
}

#define LONGSHADOW_INSTANTIATE(Device, T)                                                        \
  template PackedRows::PackedRows(Device&, MatrixView<const T>, GroupAxis, const Quantization&); \
  template void PackedRows::unpack(Device&, MatrixView<T>) const;                                \
  template std::size_t round_through_packing(Device&, MatrixView<T>, GroupAxis,                  \
                                             const Quantization&);
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
