#include "engine/cuda/launch.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/projection/rotary.h"

namespace longshadow {
namespace {

template <class T>
__global__ void rotary_table_kernel(const double* frequencies, std::size_t half,
                                    std::size_t positions, double scale, T* cosines, T* sines) {
  const std::size_t i = global_thread();
  if (i >= positions * half) return;
  const double frequency = frequencies[i % half];
  const double angle = static_cast<double>(i / half) * frequency;
  const double length = frequency == 0 ? 1 : scale;
  cosines[i] = static_cast<T>(length * cos(angle));
  sines[i] = static_cast<T>(length * sin(angle));
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

template <class T, class P>
void rotate_rows_on_cuda(Cuda& device, const RotaryRows<T>& table, Turn turn,
                         std::span<const std::uint32_t> positions, MatrixView<const T> x,
                         MatrixView<P> to) {
  const DeviceArray<std::uint32_t> positions_there(device, positions.first(x.rows));
  launch_elements(device, rotate_rows_kernel<T, P>, x.rows * x.cols / 2,
                  turn == Turn::forward ? T{1} : T{-1}, table.cos, table.sin,
                  positions_there.data(), x, to);
}

template <class T>
void fill_rotary_table_on_cuda(Cuda& device, std::span<const double> frequencies, double scale,
                               MatrixView<T> cos, MatrixView<T> sin) {
  const std::size_t half = frequencies.size();
  const DeviceArray<double> frequencies_there(device, frequencies);
  launch_elements(device, rotary_table_kernel<T>, cos.rows * half, frequencies_there.data(), half,
                  cos.rows, scale, cos.data, sin.data);
}

}  // namespace

void implement_fill_rotary_table() {
  FillRotaryTableKernel::implement([](Cuda& device, std::span<const double> frequencies,
                                      double scale, TensorView cos, TensorView sin) {
    with_element<float, double>("fill_rotary_table", cos.element, [&]<class T>() {
      fill_rotary_table_on_cuda<T>(device, frequencies, scale, cos.as<T>(), sin.as<T>());
    });
  });
}

void implement_rotate_rows() {
  RotateRowsKernel::implement([](Cuda& device, const RotaryView& table, Turn turn,
                                 std::span<const std::uint32_t> positions, ConstTensorView x,
                                 TensorView to) {
    with_precisions("rotate_rows", x.element, to.element, [&]<class T, class P>() {
      rotate_rows_on_cuda<T, P>(device, table.as<T>(), turn, positions, x.as<T>(), to.as<P>());
    });
  });
}

}  // namespace longshadow
