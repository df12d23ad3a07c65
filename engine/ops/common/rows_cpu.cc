#include <algorithm>
#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/ops/common/dot.h"
#include "engine/ops/common/rows.h"

namespace longshadow {

namespace {

void check_gather_rows(ConstTensorView table, std::span<const std::int32_t> ids, TensorView to) {
  require_below("gather_rows", "ids", ids, table.rows);
  require_rows("gather_rows", "to", to, ids.size(), table.cols);
}

template <class T>
void gather_rows_on_cpu(Cpu& device, MatrixView<const T> table, std::span<const std::int32_t> ids,
                        MatrixView<T> to) {
  device.parallel_for(ids.size(), [&](std::size_t r) {
    std::copy_n(table.row(static_cast<std::size_t>(ids[r])), to.cols, to.row(r));
  });
}

void check_copy_rows(ConstTensorView from, TensorView to) {
  require_shape("copy_rows", "to", to, from.rows, from.cols);
}

template <class T>
void copy_rows_on_cpu(Cpu& device, MatrixView<const T> from, MatrixView<T> to) {
  device.parallel_for(from.rows,
                      [&](std::size_t r) { std::copy_n(from.row(r), from.cols, to.row(r)); });
}

void check_add_rows(ConstTensorView b, TensorView a) {
  require_shape("add_rows", "b", b, a.rows, a.cols);
}

template <class T>
void add_rows_on_cpu(Cpu& device, MatrixView<const T> b, MatrixView<T> a) {
  device.parallel_for(a.rows, [&](std::size_t r) {
    for (std::size_t c = 0; c < a.cols; ++c) a.row(r)[c] += b.row(r)[c];
  });
}

void check_subtract_rows(ConstTensorView b, TensorView a) {
  require_shape("subtract_rows", "b", b, a.rows, a.cols);
}

template <class T>
void subtract_rows_on_cpu(Cpu& device, MatrixView<const T> b, MatrixView<T> a) {
  device.parallel_for(a.rows, [&](std::size_t r) {
    for (std::size_t c = 0; c < a.cols; ++c) a.row(r)[c] -= b.row(r)[c];
  });
}

void check_cosine_distances(ConstTensorView a, ConstTensorView b, std::span<float> distances) {
  require_rows("cosine_distances", "a", a, distances.size(), b.cols);
  require_rows("cosine_distances", "b", b, distances.size(), a.cols);
}

template <class T>
void cosine_distances_on_cpu(Cpu& device, MatrixView<const T> a, MatrixView<const T> b,
                             std::span<float> distances) {
  device.parallel_for(distances.size(), [&](std::size_t r) {
    const double product = dot_in_f64(a.row(r), b.row(r), a.cols);
    const double a_squared = dot_in_f64(a.row(r), a.row(r), a.cols);
    const double b_squared = dot_in_f64(b.row(r), b.row(r), b.cols);
    distances[r] = static_cast<float>(1.0 - product / std::sqrt(a_squared * b_squared));
  });
}

template <class T>
void fill_rows_on_cpu(Cpu& device, double value, MatrixView<T> x) {
  device.parallel_for(x.rows, [&](std::size_t r) { std::fill_n(x.row(r), x.cols, value); });
}

template <class T>
void scale_rows_on_cpu(Cpu& device, double factor, MatrixView<T> x) {
  device.parallel_for(x.rows, [&](std::size_t r) {
    for (std::size_t c = 0; c < x.cols; ++c) x.row(r)[c] *= static_cast<T>(factor);
  });
}

}  // namespace

void gather_rows(Device& device, ConstTensorView table, std::span<const std::int32_t> ids,
                 TensorView to) {
  check_gather_rows(table, ids, to);
  if (GatherRowsKernel::ran_elsewhere(device, table, ids, to)) return;
  with_element<float, double, BF16>("gather_rows", table.element, [&]<class T>() {
    gather_rows_on_cpu<T>(cpu_of(device), table.as<T>(), ids, to.as<T>());
  });
}

void fill_rows(Device& device, double value, TensorView x) {
  if (FillRowsKernel::ran_elsewhere(device, value, x)) return;
  with_element<float, double>("fill_rows", x.element, [&]<class T>() {
    fill_rows_on_cpu<T>(cpu_of(device), value, x.as<T>());
  });
}

void scale_rows(Device& device, double factor, TensorView x) {
  if (ScaleRowsKernel::ran_elsewhere(device, factor, x)) return;
  with_element<float, double>("scale_rows", x.element, [&]<class T>() {
    scale_rows_on_cpu<T>(cpu_of(device), factor, x.as<T>());
  });
}

void copy_rows(Device& device, ConstTensorView from, TensorView to) {
  check_copy_rows(from, to);
  if (CopyRowsKernel::ran_elsewhere(device, from, to)) return;
  with_element<float, double>("copy_rows", from.element, [&]<class T>() {
    copy_rows_on_cpu<T>(cpu_of(device), from.as<T>(), to.as<T>());
  });
}

void add_rows(Device& device, ConstTensorView b, TensorView a) {
  check_add_rows(b, a);
  if (AddRowsKernel::ran_elsewhere(device, b, a)) return;
  with_element<float, double>("add_rows", a.element, [&]<class T>() {
    add_rows_on_cpu<T>(cpu_of(device), b.as<T>(), a.as<T>());
  });
}

void subtract_rows(Device& device, ConstTensorView b, TensorView a) {
  check_subtract_rows(b, a);
  if (SubtractRowsKernel::ran_elsewhere(device, b, a)) return;
  with_element<float, double>("subtract_rows", a.element, [&]<class T>() {
    subtract_rows_on_cpu<T>(cpu_of(device), b.as<T>(), a.as<T>());
  });
}

void cosine_distances(Device& device, ConstTensorView a, ConstTensorView b,
                      std::span<float> distances) {
  check_cosine_distances(a, b, distances);
  if (CosineDistancesKernel::ran_elsewhere(device, a, b, distances)) return;
  with_element<float, double>("cosine_distances", a.element, [&]<class T>() {
    cosine_distances_on_cpu<T>(cpu_of(device), a.as<T>(), b.as<T>(), distances);
  });
}

}  // namespace longshadow
