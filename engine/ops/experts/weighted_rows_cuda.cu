#include <algorithm>
#include <vector>

#include "engine/cuda/launch.h"
#include "engine/ops/experts/weighted_rows.h"

namespace longshadow {
namespace {

template <class T>
__global__ void add_weighted_kernel(MatrixView<const T> from, const std::int32_t* ids,
                                    const T* weights, std::size_t k, MatrixView<T> to) {
  const std::size_t i = global_thread();
  if (i >= to.rows * to.cols) return;
  const std::size_t row = i / to.cols, col = i % to.cols;
  T sum = to.row(row)[col];
  for (std::size_t j = row * k; j < (row + 1) * k; ++j) {
    if (ids[j] >= 0) sum += weights[j] * from.row(static_cast<std::size_t>(ids[j]))[col];
  }
  to.row(row)[col] = sum;
}

template <class T>
__global__ void dot_kernel(MatrixView<const T> a, MatrixView<const T> b, const std::int32_t* ids,
                           std::size_t k, std::size_t n, double* dots) {
  const std::size_t i = global_warp();
  if (i >= n) return;
  double sum = 0;
  if (ids[i] >= 0) {
    const T* left = a.row(i / k);
    const T* right = b.row(static_cast<std::size_t>(ids[i]));
    for (std::size_t c = lane(); c < a.cols; c += kWarp) {
      sum += static_cast<double>(left[c]) * static_cast<double>(right[c]);
    }
  }
  sum = warp_sum(sum);
  if (lane() == 0) dots[i] = sum;
}

template <class T>
void add_weighted_rows_on_cuda(Cuda& device, MatrixView<const T> from,
                               std::span<const std::int32_t> ids, std::span<const double> weights,
                               MatrixView<T> to) {
  const DeviceArray<std::int32_t> ids_there(device, ids);
  std::vector<T> rounded(weights.size());
  std::transform(weights.begin(), weights.end(), rounded.begin(),
                 [](double weight) { return static_cast<T>(weight); });
  const DeviceArray<T> weights_there(device, std::span<const T>(rounded));
  launch_elements(device, add_weighted_kernel<T>, to.rows * to.cols, from, ids_there.data(),
                  weights_there.data(), ids.size() / to.rows, to);
}

template <class T>
void dot_rows_on_cuda(Cuda& device, MatrixView<const T> a, MatrixView<const T> b,
                      std::span<const std::int32_t> ids, std::span<double> dots) {
  const DeviceArray<std::int32_t> ids_there(device, ids);
  const DeviceArray<double> there(device, dots.size());
  launch_rows(device, dot_kernel<T>, ids.size(), a, b, ids_there.data(), ids.size() / a.rows,
              ids.size(), there.data());
  there.copy_to(dots);
}

}  // namespace

void implement_add_weighted_rows() {
  AddWeightedRowsKernel::implement([](Cuda& device, ConstTensorView from,
                                      std::span<const std::int32_t> ids,
                                      std::span<const double> weights, TensorView to) {
    with_element<float, double>("add_weighted_rows", to.element, [&]<class T>() {
      add_weighted_rows_on_cuda<T>(device, from.as<T>(), ids, weights, to.as<T>());
    });
  });
}

void implement_dot_rows() {
  DotRowsKernel::implement([](Cuda& device, ConstTensorView a, ConstTensorView b,
                              std::span<const std::int32_t> ids, std::span<double> dots) {
    with_element<float, double>("dot_rows", a.element, [&]<class T>() {
      dot_rows_on_cuda<T>(device, a.as<T>(), b.as<T>(), ids, dots);
    });
  });
}

}  // namespace longshadow
