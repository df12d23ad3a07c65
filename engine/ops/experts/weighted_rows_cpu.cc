#include <string>

#include "engine/backend/cpu.h"
#include "engine/ops/common/dot.h"
#include "engine/ops/experts/weighted_rows.h"

namespace longshadow {
namespace {

/// Requires k ids of rows of a matrix, or of none, for each of `rows` rows.
void require_ids(const char* operation, std::span<const std::int32_t> ids, std::size_t rows,
                 std::size_t of_rows) {
  if constexpr (kContracts) {
    require_at_least(operation, "rows", rows, 1);
    require_multiple(operation, "ids.size()", ids.size(), rows);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= -1 && ids[i] < static_cast<std::int64_t>(of_rows)) continue;
      fail_contract(operation, "ids[" + std::to_string(i) + "]", std::to_string(ids[i]),
                    "-1 or at least 0 and below " + std::to_string(of_rows));
    }
  }
}

void check_add_weighted_rows(ConstTensorView from, std::span<const std::int32_t> ids,
                             std::span<const double> weights, TensorView to) {
  require_ids("add_weighted_rows", ids, to.rows, from.rows);
  require_equal("add_weighted_rows", "weights.size()", weights.size(), ids.size());
  require_shape("add_weighted_rows", "from", from, from.rows, to.cols);
}

void check_dot_rows(ConstTensorView a, ConstTensorView b, std::span<const std::int32_t> ids,
                    std::span<double> dots) {
  require_ids("dot_rows", ids, a.rows, b.rows);
  require_equal("dot_rows", "dots.size()", dots.size(), ids.size());
  require_shape("dot_rows", "b", b, b.rows, a.cols);
}

template <class T>
void add_weighted_rows_on_cpu(Cpu& device, MatrixView<const T> from,
                              std::span<const std::int32_t> ids, std::span<const double> weights,
                              MatrixView<T> to) {
  const std::size_t k = ids.size() / to.rows;
  device.parallel_for(to.rows, [&](std::size_t r) {
    for (std::size_t i = r * k; i < (r + 1) * k; ++i) {
      if (ids[i] < 0) continue;
      const T* row = from.row(static_cast<std::size_t>(ids[i]));
      const T weight = static_cast<T>(weights[i]);
      for (std::size_t c = 0; c < to.cols; ++c) to.row(r)[c] += weight * row[c];
    }
  });
}

template <class T>
void dot_rows_on_cpu(Cpu& device, MatrixView<const T> a, MatrixView<const T> b,
                     std::span<const std::int32_t> ids, std::span<double> dots) {
  const std::size_t k = ids.size() / a.rows;
  device.parallel_for(ids.size(), [&](std::size_t i) {
    dots[i] = ids[i] < 0
                  ? 0.0
                  : dot_in_f64(a.row(i / k), b.row(static_cast<std::size_t>(ids[i])), a.cols);
  });
}

}  // namespace

void add_weighted_rows(Device& device, ConstTensorView from, std::span<const std::int32_t> ids,
                       std::span<const double> weights, TensorView to) {
  check_add_weighted_rows(from, ids, weights, to);
  if (AddWeightedRowsKernel::ran_elsewhere(device, from, ids, weights, to)) return;
  with_element<float, double>("add_weighted_rows", to.element, [&]<class T>() {
    add_weighted_rows_on_cpu<T>(cpu_of(device), from.as<T>(), ids, weights, to.as<T>());
  });
}

void dot_rows(Device& device, ConstTensorView a, ConstTensorView b,
              std::span<const std::int32_t> ids, std::span<double> dots) {
  check_dot_rows(a, b, ids, dots);
  if (DotRowsKernel::ran_elsewhere(device, a, b, ids, dots)) return;
  with_element<float, double>("dot_rows", a.element, [&]<class T>() {
    dot_rows_on_cpu<T>(cpu_of(device), a.as<T>(), b.as<T>(), ids, dots);
  });
}

}  // namespace longshadow
