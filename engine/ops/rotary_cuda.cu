#include "engine/backend/cuda/launch.h"
#include "engine/ops/rotary.h"
#include "engine/ops/rounding.h"

namespace longshadow {
namespace {

template <class T>
__global__ void rotary_table_kernel(const double* frequencies, std::size_t half,
                                    std::size_t positions, double scale, T* cosines, T* sines) {
  const std::size_t i = global_thread();
  if (i >= positions * half) return;
  const double angle = static_cast<double>(i / half) * frequencies[i % half];
  cosines[i] = static_cast<T>(scale * cos(angle));
  sines[i] = static_cast<T>(scale * sin(angle));
}

/// A thread for each pair of elements that are rotated together.
template <class T, class P>
__global__ void rotate_rows_kernel(T sign, MatrixView<const T> cosines, MatrixView<const T> sines,
                                   const std::uint32_t* positions, MatrixView<const T> x,
                                   MatrixView<P> to) {
  const std::size_t half = cosines.cols;
  const std::size_t i = global_thread();
  if (i >= x.rows * x.cols / 2) return;
  const std::size_t r = i / (x.cols / 2), pair = i % half;
  const std::size_t c = i % (x.cols / 2) / half * 2 * half + pair;
  const T first = x.row(r)[c], second = x.row(r)[c + half];
  const T cosine = cosines.row(positions[r])[pair], sine = sign * sines.row(positions[r])[pair];
  to.row(r)[c] = rounded<P>(first * cosine - second * sine);
  to.row(r)[c + half] = rounded<P>(second * cosine + first * sine);
}

}  // namespace

template <class T>
RotaryTable<T> make_rotary_table(Cuda& device, std::span<const double> frequencies,
                                 std::size_t positions, double scale) {
  const std::size_t half = frequencies.size();
  RotaryTable<T> table{Matrix<T>(device.memory(), positions, half),
                       Matrix<T>(device.memory(), positions, half)};
  const DeviceArray<double> frequencies_there(device, frequencies);
  launch_elements(device, rotary_table_kernel<T>, positions * half, frequencies_there.data(), half,
                  positions, scale, table.cos.data(), table.sin.data());
  return table;
}

template <class T, class P>
void rotate_rows(Cuda& device, const RotaryTable<T>& table, Turn turn,
                 std::span<const std::uint32_t> positions, MatrixView<const T> x,
                 MatrixView<P> to) {
  check_rotate_rows(table, positions, x, to);
  const DeviceArray<std::uint32_t> positions_there(device, positions.first(x.rows));
  launch_elements(device, rotate_rows_kernel<T, P>, x.rows * x.cols / 2,
                  turn == Turn::forward ? T{1} : T{-1}, table.cos.view(), table.sin.view(),
                  positions_there.data(), x, to);
}

template RotaryTable<float> make_rotary_table(Cuda&, std::span<const double>, std::size_t, double);
template RotaryTable<double> make_rotary_table(Cuda&, std::span<const double>, std::size_t, double);

#define LONGSHADOW_INSTANTIATE(T, P)                                                            \
  template void rotate_rows(Cuda&, const RotaryTable<T>&, Turn, std::span<const std::uint32_t>, \
                            MatrixView<const T>, MatrixView<P>);
LONGSHADOW_INSTANTIATE(float, float)
LONGSHADOW_INSTANTIATE(float, BF16)
LONGSHADOW_INSTANTIATE(double, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
