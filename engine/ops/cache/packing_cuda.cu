#include <limits>

#include "engine/cuda/launch.h"
#include "engine/ops/cache/packing.h"

namespace longshadow {
namespace {

/// A thread a group.
template <class T>
__global__ void group_kernel(MatrixView<const T> rows, PackedShape shape, float highest,
                             MatrixView<PackedGroup> groups) {
  const std::size_t row = global_thread() / shape.group_cols;
  const std::size_t col = global_thread() % shape.group_cols;
  if (row >= shape.group_rows) return;
  const std::size_t first_row = row * shape.rows_of_group, first_col = col * shape.cols_of_group;
  float largest = -std::numeric_limits<float>::infinity(), smallest = -largest;
  for (std::size_t r = first_row; r < first_row + shape.rows_of_group && r < rows.rows; ++r) {
    for (std::size_t c = first_col; c < first_col + shape.cols_of_group && c < rows.cols; ++c) {
      const auto value = static_cast<float>(rows.row(r)[c]);
      if (value > largest) largest = value;
      if (value < smallest) smallest = value;
    }
  }
  groups.row(row)[col] = {(largest - smallest) / highest, smallest};
}

__device__ const PackedGroup& group_of(MatrixView<const PackedGroup> groups,
                                       const PackedShape& shape, std::size_t r, std::size_t c) {
  return groups.row(r / shape.rows_of_group)[c / shape.cols_of_group];
}

/// A thread a byte.
template <class T>
__global__ void pack_kernel(MatrixView<const T> rows, PackedShape shape, unsigned bits,
                            float highest, MatrixView<const PackedGroup> groups,
                            MatrixView<std::uint8_t> elements) {
  const std::size_t r = global_thread() / shape.bytes_of_row;
  const std::size_t byte = global_thread() % shape.bytes_of_row;
  if (r >= rows.rows) return;
  unsigned packed = 0;
  for (unsigned place = 0; place < shape.elements_of_byte; ++place) {
    const std::size_t c = byte * shape.elements_of_byte + place;
    if (c >= rows.cols) break;
    const PackedGroup group = group_of(groups, shape, r, c);
    if (group.scale == 0) continue;  // level 0, the minimum
    const float level = round((static_cast<float>(rows.row(r)[c]) - group.minimum) / group.scale);
    packed |= static_cast<unsigned>(level > highest ? highest
                                    : level > 0     ? level
                                                    : 0)
              << place * bits;
  }
  elements.row(r)[byte] = static_cast<std::uint8_t>(packed);
}

/// A thread an element.
template <class T>
__global__ void unpack_kernel(MatrixView<const std::uint8_t> elements, PackedShape shape,
                              unsigned bits, MatrixView<const PackedGroup> groups,
                              MatrixView<T> rows) {
  const std::size_t r = global_thread() / rows.cols, c = global_thread() % rows.cols;
  if (r >= rows.rows) return;
  const std::size_t bit = c * bits;
  const unsigned level = elements.row(r)[bit / 8] >> bit % 8 & ((1U << bits) - 1);
  const PackedGroup group = group_of(groups, shape, r, c);
  rows.row(r)[c] = static_cast<T>(static_cast<double>(level) * static_cast<double>(group.scale) +
                                  static_cast<double>(group.minimum));
}

template <class T>
void pack_rows_on_cuda(Cuda& device, MatrixView<const T> rows, GroupAxis axis,
                       const Quantization& quantization, MatrixView<std::uint8_t> elements,
                       MatrixView<PackedGroup> groups) {
  require_packed("pack_rows", rows.rows, rows.cols, axis, quantization, elements, groups);
  const PackedShape shape(rows.rows, rows.cols, axis, quantization);
  const auto bits = static_cast<unsigned>(quantization.bits);
  const auto highest = static_cast<float>((1U << bits) - 1);
  launch_elements(device, group_kernel<T>, shape.group_rows * shape.group_cols, rows, shape,
                  highest, groups);
  launch_elements(device, pack_kernel<T>, rows.rows * shape.bytes_of_row, rows, shape, bits,
                  highest, MatrixView<const PackedGroup>(groups), elements);
}

template <class T>
void unpack_rows_on_cuda(Cuda& device, MatrixView<const std::uint8_t> elements,
                         MatrixView<const PackedGroup> groups, GroupAxis axis,
                         const Quantization& quantization, MatrixView<T> rows) {
  require_packed("unpack_rows", rows.rows, rows.cols, axis, quantization, elements, groups);
  const PackedShape shape(rows.rows, rows.cols, axis, quantization);
  launch_elements(device, unpack_kernel<T>, rows.rows * rows.cols, elements, shape,
                  static_cast<unsigned>(quantization.bits), groups, rows);
}

}  // namespace

void implement_pack_rows() {
  PackRowsKernel::implement([](Cuda& device, ConstTensorView rows, GroupAxis axis,
                               const Quantization& quantization, MatrixView<std::uint8_t> elements,
                               MatrixView<PackedGroup> groups) {
    with_element<float, double>("pack_rows", rows.element, [&]<class T>() {
      pack_rows_on_cuda<T>(device, rows.as<T>(), axis, quantization, elements, groups);
    });
  });
}

void implement_unpack_rows() {
  UnpackRowsKernel::implement([](Cuda& device, MatrixView<const std::uint8_t> elements,
                                 MatrixView<const PackedGroup> groups, GroupAxis axis,
                                 const Quantization& quantization, TensorView rows) {
    with_element<float, double>("unpack_rows", rows.element, [&]<class T>() {
      unpack_rows_on_cuda<T>(device, elements, groups, axis, quantization, rows.as<T>());
    });
  });
}

}  // namespace longshadow
