#include "engine/backend/cuda/launch.h"
#include "engine/ops/rotary.h"
#include "engine/ops/rounding.h"

namespace longshadow {
namespace {

template <class T>
__global__ void rotary_table_kernel(const double* frequencies, std::size_t half,
                                    std::size_t positions, T* cosines, T* sines) {
  const std::size_t i = global_thread();
  if (i >= positions * half) return;
  const double angle = static_cast<double>(i / half) * frequencies[i % half];
  cosines[i] = static_cast<T>(cos(angle));
  sines[i] = static_cast<T>(sin(angle));
}

/// A thread for each pair of elements; x [rows, heads * 2 half].
template <class T, class P>
__global__ void rotate_back_kernel(MatrixView<const T> cosines, MatrixView<const T> sines,
                                   const std::uint32_t* positions, MatrixView<const T> x,
                                   MatrixView<P> to) {
  const std::size_t half = cosines.cols, pairs = x.cols / 2;
  const std::size_t r = global_thread() / pairs, pair = global_thread() % pairs;
  if (r >= x.rows) return;
  const std::size_t i = pair % half, at = pair / half * 2 * half + i;
  const T cosine = cosines.row(positions[r])[i], sine = sines.row(positions[r])[i];
  const T first = x.row(r)[at], second = x.row(r)[at + half];
  to.row(r)[at] = rounded<P>(first * cosine + second * sine);
  to.row(r)[at + half] = rounded<P>(second * cosine - first * sine);
}

}  // namespace

template <class Device, class T>
RotaryTable<T> make_rotary_table(Device& device, std::span<const double> frequencies,
                                 std::size_t positions) {
  const std::size_t half = frequencies.size();
  RotaryTable<T> table{Matrix<T>(device.memory(), positions, half),
                       Matrix<T>(device.memory(), positions, half)};
  const DeviceArray<double> frequencies_there(device, frequencies);
  launch_elements(device, rotary_table_kernel<T>, positions * half, frequencies_there.data(), half,
                  positions, table.cos.data(), table.sin.data());
  return table;
}

template <class Device, class T, class P>
void rotate_back(Device& device, const RotaryTable<T>& table,
                 std::span<const std::uint32_t> positions, MatrixView<const T> x,
                 MatrixView<P> to) {
  const DeviceArray<std::uint32_t> positions_there(device, positions.first(x.rows));
  launch_elements(device, rotate_back_kernel<T, P>, x.rows * (x.cols / 2), table.cos.view(),
                  table.sin.view(), positions_there.data(), x, to);
}

template RotaryTable<float> make_rotary_table(Cuda&, std::span<const double>, std::size_t);
template RotaryTable<double> make_rotary_table(Cuda&, std::span<const double>, std::size_t);
template void rotate_back(Cuda&, const RotaryTable<float>&, std::span<const std::uint32_t>,
                          MatrixView<const float>, MatrixView<float>);
template void rotate_back(Cuda&, const RotaryTable<float>&, std::span<const std::uint32_t>,
                          MatrixView<const float>, MatrixView<BF16>);
template void rotate_back(Cuda&, const RotaryTable<double>&, std::span<const std::uint32_t>,
                          MatrixView<const double>, MatrixView<double>);

}  // namespace longshadow
