#include <algorithm>
#include <cmath>

#include "engine/ops/dot.h"
#include "engine/ops/rows.h"

namespace longshadow {

template <class T>
void gather_rows(Cpu& device, MatrixView<const T> table, std::span<const std::int32_t> ids,
                 MatrixView<T> to) {
  check_gather_rows(table, ids, to);
  device.parallel_for(ids.size(), [&](std::size_t r) {
    std::copy_n(table.row(static_cast<std::size_t>(ids[r])), to.cols, to.row(r));
  });
}

template <class T>
void fill_rows(Cpu& device, T value, MatrixView<T> x) {
  device.parallel_for(x.rows, [&](std::size_t r) { std::fill_n(x.row(r), x.cols, value); });
}

template <class T>
void copy_rows(Cpu& device, MatrixView<const T> from, MatrixView<T> to) {
  check_copy_rows(from, to);
  device.parallel_for(from.rows,
                      [&](std::size_t r) { std::copy_n(from.row(r), from.cols, to.row(r)); });
}

template <class T>
void subtract_rows(Cpu& device, MatrixView<const T> b, MatrixView<T> a) {
  check_subtract_rows(b, a);
  device.parallel_for(a.rows, [&](std::size_t r) {
    for (std::size_t c = 0; c < a.cols; ++c) a.row(r)[c] -= b.row(r)[c];
  });
}

template <class T>
void cosine_distances(Cpu& device, MatrixView<const T> a, MatrixView<const T> b,
                      std::span<float> distances) {
  check_cosine_distances(a, b, distances);
  device.parallel_for(distances.size(), [&](std::size_t r) {
    const double product = dot_in_f64(a.row(r), b.row(r), a.cols);
    const double a_squared = dot_in_f64(a.row(r), a.row(r), a.cols);
    const double b_squared = dot_in_f64(b.row(r), b.row(r), b.cols);
    distances[r] = static_cast<float>(1.0 - product / std::sqrt(a_squared * b_squared));
  });
}

template void gather_rows(Cpu&, MatrixView<const float>, std::span<const std::int32_t>,
                          MatrixView<float>);
template void gather_rows(Cpu&, MatrixView<const double>, std::span<const std::int32_t>,
                          MatrixView<double>);
template void fill_rows(Cpu&, float, MatrixView<float>);
template void fill_rows(Cpu&, double, MatrixView<double>);
template void copy_rows(Cpu&, MatrixView<const float>, MatrixView<float>);
template void copy_rows(Cpu&, MatrixView<const double>, MatrixView<double>);
template void subtract_rows(Cpu&, MatrixView<const float>, MatrixView<float>);
template void subtract_rows(Cpu&, MatrixView<const double>, MatrixView<double>);
template void cosine_distances(Cpu&, MatrixView<const float>, MatrixView<const float>,
                               std::span<float>);
template void cosine_distances(Cpu&, MatrixView<const double>, MatrixView<const double>,
                               std::span<float>);

}  // namespace longshadow
