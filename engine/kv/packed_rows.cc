#include "engine/kv/packed_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "engine/core/error.h"
#include "engine/core/range.h"

namespace longshadow {
namespace {

std::size_t n_groups(std::size_t elements, std::size_t group) {
  return (elements + group - 1) / group;
}

}  // namespace

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

std::size_t PackedRows::bytes_per_row() const { return n_groups(cols_ * quantization_.bits, 8); }

std::size_t PackedRows::bytes() const { return elements_.size() + groups_.size() * sizeof(Group); }

template <class Visit>
void PackedRows::for_each_element(Visit&& visit) const {
  const std::size_t size = quantization_.group;
  const bool in_columns = axis_ == GroupAxis::columns;
  const std::size_t run = in_columns ? size : 1;  // columns of a row that one group holds
  for (std::size_t r = 0; r < rows_; ++r) {
    std::size_t group = in_columns ? r * n_groups(cols_, size) : r / size * cols_;
    for (std::size_t first = 0; first < cols_; first += run, ++group) {
      for (std::size_t c = first; c < std::min(first + run, cols_); ++c) visit(r, c, group);
    }
  }
}

template <class T>
PackedRows::PackedRows(MatrixView<const T> rows, GroupAxis axis, const Quantization& quantization)
    : rows_(rows.rows), cols_(rows.cols), axis_(axis), quantization_(quantization) {
  check_quantization(quantization);
  const bool in_columns = axis == GroupAxis::columns;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> maxima(in_columns ? rows_ * n_groups(cols_, quantization.group)
                                       : n_groups(rows_, quantization.group) * cols_,
                            -kInfinity);
  groups_.assign(maxima.size(), Group{0, kInfinity});
  for_each_element([&](std::size_t r, std::size_t c, std::size_t group) {
    const auto value = static_cast<float>(rows.row(r)[c]);
    maxima[group] = std::max(maxima[group], value);
    groups_[group].minimum = std::min(groups_[group].minimum, value);
  });
  const auto highest = static_cast<float>((1U << quantization.bits) - 1);
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    groups_[i].scale = (maxima[i] - groups_[i].minimum) / highest;
  }

  elements_.resize(rows_ * bytes_per_row());
  for_each_element([&](std::size_t r, std::size_t c, std::size_t index) {
    const Group& group = groups_[index];
    if (group.scale == 0) return;  // level 0, the minimum
    const auto value = static_cast<float>(rows.row(r)[c]);
    const float level = std::round((value - group.minimum) / group.scale);
    const auto element = static_cast<unsigned>(std::clamp(level, 0.0F, highest));
    const std::size_t bit = c * quantization_.bits;
    elements_[r * bytes_per_row() + bit / 8] |= static_cast<std::uint8_t>(element << bit % 8);
  });
}

template <class T>
void PackedRows::unpack(MatrixView<T> into) const {
  const unsigned mask = (1U << quantization_.bits) - 1;
  const std::uint8_t* bytes = elements_.data();
  const std::size_t stride = bytes_per_row();
  for_each_element([&, bits = quantization_.bits](std::size_t r, std::size_t c, std::size_t index) {
    const std::size_t bit = c * bits;
    const unsigned level = bytes[r * stride + bit / 8] >> bit % 8 & mask;
    const Group& group = groups_[index];
    into.row(r)[c] = static_cast<float>(level) * group.scale + group.minimum;
  });
}

template <class T>
std::size_t round_through_packing(MatrixView<T> rows, GroupAxis axis,
                                  const Quantization& quantization) {
  std::size_t bytes = 0;
  std::size_t first = 0;
  for (; rows.rows - first >= quantization.group; first += quantization.group) {
    const MatrixView<T> group = rows.row_range(first, quantization.group);
    const PackedRows packed(MatrixView<const T>(group), axis, quantization);
    packed.unpack(group);
    bytes += packed.bytes();
  }
  return bytes + (rows.rows - first) * rows.cols * sizeof(T);
}

template std::size_t round_through_packing(MatrixView<float>, GroupAxis, const Quantization&);
template std::size_t round_through_packing(MatrixView<double>, GroupAxis, const Quantization&);
template PackedRows::PackedRows(MatrixView<const float>, GroupAxis, const Quantization&);
template PackedRows::PackedRows(MatrixView<const double>, GroupAxis, const Quantization&);
template void PackedRows::unpack(MatrixView<float>) const;
template void PackedRows::unpack(MatrixView<double>) const;

}  // namespace longshadow
