#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// A matrix of the host's, in a device's memory. The processor's memory is the host's.
template <class T>
Matrix<T> on_device(Cpu&, Matrix<T> host) {
  return host;
}
template <class T>
Matrix<T> on_device(Cuda& device, Matrix<T> host) {
  Matrix<T> there(device.memory(), host.rows(), host.cols());
  if (host.bytes() != 0) device.copy_to_device(host.data(), there.data(), host.bytes());
  return there;
}

/// The right-hand factor of products from a matrix in the device's memory; `multiple` as
/// PackedWeights() takes it.
template <class T>
PackedWeights<T> pack(Cpu& cpu, Matrix<T> there, std::size_t multiple = kOutputMultiple) {
  return PackedWeights<T>(cpu, std::as_const(there).view(), multiple);
}
template <class T>
PackedWeights<T> pack(Cuda&, Matrix<T> there, std::size_t /*multiple*/ = kOutputMultiple) {
  return PackedWeights<T>(std::move(there));
}

/// The same from a matrix that stays where it is and outlives the result.
template <class T>
PackedWeights<T> pack_view(Cpu& cpu, MatrixView<const T> there) {
  return PackedWeights<T>(cpu, there);
}
template <class T>
PackedWeights<T> pack_view(Cuda&, MatrixView<const T> there) {
  return PackedWeights<T>(there);
}

template <class T, class U>
void check_copy_to_host(MatrixView<const T> there, MatrixView<U> host) {
  require_shape("copy_to_host", "host", host, there.rows, there.cols);
  require_dense("copy_to_host", "there", there);
  require_dense("copy_to_host", "host", host);
}

/// Dense rows of the device's become dense rows of the host's of the same shape, in U.
template <class T, class U>
void copy_to_host(Cpu&, MatrixView<const T> there, MatrixView<U> host) {
  check_copy_to_host(there, host);
  std::transform(there.data, there.data + there.rows * there.cols, host.data,
                 [](T value) { return static_cast<U>(value); });
}
template <class T, class U>
void copy_to_host(Cuda& device, MatrixView<const T> there, MatrixView<U> host) {
  check_copy_to_host(there, host);
  const std::size_t size = there.rows * there.cols;
  if (size == 0) return;
  if constexpr (std::is_same_v<T, U>) {
    device.copy_to_host(there.data, host.data, size * sizeof(T));
  } else {
    std::vector<T> as_it_is(size);
    device.copy_to_host(there.data, as_it_is.data(), size * sizeof(T));
    std::transform(as_it_is.begin(), as_it_is.end(), host.data,
                   [](T value) { return static_cast<U>(value); });
  }
}

/// A matrix of the device's, in the host's memory.
template <class T>
Matrix<T> to_host(Cpu&, Matrix<T> there) {
  return there;
}
template <class T>
Matrix<T> to_host(Cuda& device, const Matrix<T>& there) {
  Matrix<T> host(Cpu::memory(), there.rows(), there.cols());
  copy_to_host(device, there.view(), host.view());
  return host;
}

}  // namespace longshadow
