#include <span>

#include "engine/cuda/launch.h"
#include "engine/ops/common/rows.h"

// Neighbouring threads take neighbouring elements of a row, so that a warp's accesses are one or
// two transactions; warps take the rows that need sums.
namespace longshadow {
namespace {

template <class T>
__global__ void gather_kernel(MatrixView<const T> table, const std::int32_t* ids, std::size_t n,
                              MatrixView<T> to) {
  const std::size_t i = global_thread();
  if (i >= n * to.cols) return;
  const std::size_t row = i / to.cols, col = i % to.cols;
  to.row(row)[col] = table.row(static_cast<std::size_t>(ids[row]))[col];
}

template <class T>
__global__ void fill_kernel(T value, MatrixView<T> x) {
  const std::size_t i = global_thread();
  if (i < x.rows * x.cols) x.row(i / x.cols)[i % x.cols] = value;
}

template <class T>
__global__ void scale_kernel(T factor, MatrixView<T> x) {
  const std::size_t i = global_thread();
  if (i < x.rows * x.cols) x.row(i / x.cols)[i % x.cols] *= factor;
}

template <class T>
__global__ void copy_kernel(MatrixView<const T> from, MatrixView<T> to) {
  const std::size_t i = global_thread();
  if (i < from.rows * from.cols)
    to.row(i / from.cols)[i % from.cols] = from.row(i / from.cols)[i % from.cols];
}

template <class T>
__global__ void add_kernel(MatrixView<const T> b, MatrixView<T> a) {
  const std::size_t i = global_thread();
  if (i < a.rows * a.cols) a.row(i / a.cols)[i % a.cols] += b.row(i / a.cols)[i % a.cols];
}

template <class T>
__global__ void subtract_kernel(MatrixView<const T> b, MatrixView<T> a) {
  const std::size_t i = global_thread();
  if (i < a.rows * a.cols) a.row(i / a.cols)[i % a.cols] -= b.row(i / a.cols)[i % a.cols];
}

template <class T>
__global__ void cosine_distance_kernel(MatrixView<const T> a, MatrixView<const T> b, std::size_t n,
                                       float* distances) {
  const std::size_t r = global_warp();
  if (r >= n) return;
  double product = 0, a_squared = 0, b_squared = 0;
  for (std::size_t c = lane(); c < a.cols; c += kWarp) {
    const auto x = static_cast<double>(a.row(r)[c]);
    const auto y = static_cast<double>(b.row(r)[c]);
    product += x * y;
    a_squared += x * x;
    b_squared += y * y;
  }
  product = warp_sum(product);
  a_squared = warp_sum(a_squared);
  b_squared = warp_sum(b_squared);
  if (lane() == 0) distances[r] = static_cast<float>(1 - product / sqrt(a_squared * b_squared));
}

template <class T>
void gather_rows_on_cuda(Cuda& device, MatrixView<const T> table, std::span<const std::int32_t> ids,
                         MatrixView<T> to) {
  const DeviceArray<std::int32_t> ids_there(device, ids);
  launch_elements(device, gather_kernel<T>, ids.size() * to.cols, table, ids_there.data(),
                  ids.size(), to);
}

template <class T>
void copy_rows_on_cuda(Cuda& device, MatrixView<const T> from, MatrixView<T> to) {
  launch_elements(device, copy_kernel<T>, from.rows * from.cols, from, to);
}

template <class T>
void add_rows_on_cuda(Cuda& device, MatrixView<const T> b, MatrixView<T> a) {
  launch_elements(device, add_kernel<T>, a.rows * a.cols, b, a);
}

template <class T>
void subtract_rows_on_cuda(Cuda& device, MatrixView<const T> b, MatrixView<T> a) {
  launch_elements(device, subtract_kernel<T>, a.rows * a.cols, b, a);
}

template <class T>
void cosine_distances_on_cuda(Cuda& device, MatrixView<const T> a, MatrixView<const T> b,
                              std::span<float> distances) {
  const DeviceArray<float> there(device, distances.size());
  launch_rows(device, cosine_distance_kernel<T>, distances.size(), a, b, distances.size(),
              there.data());
  there.copy_to(distances);
}

template <class T>
void fill_rows_on_cuda(Cuda& device, double value, MatrixView<T> x) {
  launch_elements(device, fill_kernel<T>, x.rows * x.cols, static_cast<T>(value), x);
}

template <class T>
void scale_rows_on_cuda(Cuda& device, double factor, MatrixView<T> x) {
  launch_elements(device, scale_kernel<T>, x.rows * x.cols, static_cast<T>(factor), x);
}

}  // namespace

void implement_gather_rows() {
  GatherRowsKernel::implement(
      [](Cuda& device, ConstTensorView table, std::span<const std::int32_t> ids, TensorView to) {
        with_element<float, double, BF16>("gather_rows", table.element, [&]<class T>() {
          gather_rows_on_cuda<T>(device, table.as<T>(), ids, to.as<T>());
        });
      });
}

void implement_fill_rows() {
  FillRowsKernel::implement([](Cuda& device, double value, TensorView x) {
    with_element<float, double>("fill_rows", x.element,
                                [&]<class T>() { fill_rows_on_cuda<T>(device, value, x.as<T>()); });
  });
}

void implement_scale_rows() {
  ScaleRowsKernel::implement([](Cuda& device, double factor, TensorView x) {
    with_element<float, double>("scale_rows", x.element, [&]<class T>() {
      scale_rows_on_cuda<T>(device, factor, x.as<T>());
    });
  });
}

void implement_copy_rows() {
  CopyRowsKernel::implement([](Cuda& device, ConstTensorView from, TensorView to) {
    with_element<float, double>("copy_rows", from.element, [&]<class T>() {
      copy_rows_on_cuda<T>(device, from.as<T>(), to.as<T>());
    });
  });
}

void implement_add_rows() {
  AddRowsKernel::implement([](Cuda& device, ConstTensorView b, TensorView a) {
    with_element<float, double>("add_rows", a.element, [&]<class T>() {
      add_rows_on_cuda<T>(device, b.as<T>(), a.as<T>());
    });
  });
}

void implement_subtract_rows() {
  SubtractRowsKernel::implement([](Cuda& device, ConstTensorView b, TensorView a) {
    with_element<float, double>("subtract_rows", a.element, [&]<class T>() {
      subtract_rows_on_cuda<T>(device, b.as<T>(), a.as<T>());
    });
  });
}

void implement_cosine_distances() {
  CosineDistancesKernel::implement(
      [](Cuda& device, ConstTensorView a, ConstTensorView b, std::span<float> distances) {
        with_element<float, double>("cosine_distances", a.element, [&]<class T>() {
          cosine_distances_on_cuda<T>(device, a.as<T>(), b.as<T>(), distances);
        });
      });
}

}  // namespace longshadow
