#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/backend/cpu.h"
#include "engine/ops/cache/packing.h"

namespace longshadow {
namespace {

/// Calls visit(row, column, column of the group) for every element of one row of groups.
template <class Visit>
void for_each_element(const PackedShape& shape, std::size_t group_row, std::size_t n, std::size_t d,
                      const Visit& visit) {
  const std::size_t first = group_row * shape.rows_of_group;
  for (std::size_t r = first; r < std::min(first + shape.rows_of_group, n); ++r) {
    for (std::size_t group = 0; group < shape.group_cols; ++group) {
      const std::size_t begin = group * shape.cols_of_group;
      for (std::size_t c = begin; c < std::min(begin + shape.cols_of_group, d); ++c) {
        visit(r, c, group);
      }
    }
  }
}

template <class T>
void pack_rows_on_cpu(Cpu& device, MatrixView<const T> rows, GroupAxis axis,
                      const Quantization& quantization, MatrixView<std::uint8_t> elements,
                      MatrixView<PackedGroup> groups) {
  require_packed("pack_rows", rows.rows, rows.cols, axis, quantization, elements, groups);
  const PackedShape shape(rows.rows, rows.cols, axis, quantization);
  const auto highest = static_cast<float>((1U << quantization.bits) - 1);
  device.parallel_for(shape.group_rows, [&](std::size_t group_row) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    PackedGroup* const of_row = groups.row(group_row);
    std::fill_n(of_row, shape.group_cols, PackedGroup{-kInfinity, kInfinity});
    for_each_element(shape, group_row, rows.rows, rows.cols, [&](auto r, auto c, auto group) {
      const auto value = static_cast<float>(rows.row(r)[c]);
      of_row[group].scale = std::max(of_row[group].scale, value);  // the maximum until all are seen
      of_row[group].minimum = std::min(of_row[group].minimum, value);
    });
    for (std::size_t group = 0; group < shape.group_cols; ++group) {
      of_row[group].scale = (of_row[group].scale - of_row[group].minimum) / highest;
    }
    for_each_element(shape, group_row, rows.rows, rows.cols, [&](auto r, auto c, auto group) {
      const std::size_t bit = c * quantization.bits;
      std::uint8_t& byte = elements.row(r)[bit / 8];
      if (bit % 8 == 0) byte = 0;
      const auto [scale, minimum] = of_row[group];
      if (scale == 0) return;  // level 0, the minimum
      const float level = std::round((static_cast<float>(rows.row(r)[c]) - minimum) / scale);
      const auto element = static_cast<unsigned>(std::clamp(level, 0.0F, highest));
      byte |= static_cast<std::uint8_t>(element << bit % 8);
    });
  });
}

template <class T>
void unpack_rows_on_cpu(Cpu& device, MatrixView<const std::uint8_t> elements,
                        MatrixView<const PackedGroup> groups, GroupAxis axis,
                        const Quantization& quantization, MatrixView<T> rows) {
  require_packed("unpack_rows", rows.rows, rows.cols, axis, quantization, elements, groups);
  const PackedShape shape(rows.rows, rows.cols, axis, quantization);
  const unsigned mask = (1U << quantization.bits) - 1;
  device.parallel_for(shape.group_rows, [&](std::size_t group_row) {
    const PackedGroup* const of_row = groups.row(group_row);
    const std::size_t bits = quantization.bits;
    for_each_element(shape, group_row, rows.rows, rows.cols, [&](auto r, auto c, auto group) {
      const std::size_t bit = c * bits;
      const unsigned level = elements.row(r)[bit / 8] >> bit % 8 & mask;
      rows.row(r)[c] = static_cast<T>(static_cast<double>(level) * double{of_row[group].scale} +
                                      double{of_row[group].minimum});
    });
  });
}

}  // namespace

void pack_rows(Device& device, ConstTensorView rows, GroupAxis axis,
               const Quantization& quantization, MatrixView<std::uint8_t> elements,
               MatrixView<PackedGroup> groups) {
  if (PackRowsKernel::ran_elsewhere(device, rows, axis, quantization, elements, groups)) return;
  with_element<float, double>("pack_rows", rows.element, [&]<class T>() {
    pack_rows_on_cpu<T>(cpu_of(device), rows.as<T>(), axis, quantization, elements, groups);
  });
}

void unpack_rows(Device& device, MatrixView<const std::uint8_t> elements,
                 MatrixView<const PackedGroup> groups, GroupAxis axis,
                 const Quantization& quantization, TensorView rows) {
  if (UnpackRowsKernel::ran_elsewhere(device, elements, groups, axis, quantization, rows)) return;
  with_element<float, double>("unpack_rows", rows.element, [&]<class T>() {
    unpack_rows_on_cpu<T>(cpu_of(device), elements, groups, axis, quantization, rows.as<T>());
  });
}

}  // namespace longshadow
