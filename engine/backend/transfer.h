#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"

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

/// A matrix of the device's, in the host's memory.
template <class T>
Matrix<T> to_host(Cpu&, Matrix<T> there) {
  return there;
}
template <class T>
Matrix<T> to_host(Cuda& device, Matrix<T> there) {
  Matrix<T> host(Cpu::memory(), there.rows(), there.cols());
  if (there.bytes() != 0) device.copy_to_host(there.data(), host.data(), there.bytes());
  return host;
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

/// The elements of a matrix of the device's, row by row.
template <class T>
std::vector<T> on_host(Cpu&, const Matrix<T>& there) {
  return {there.data(), there.data() + there.rows() * there.cols()};
}
template <class T>
std::vector<T> on_host(Cuda& device, const Matrix<T>& there) {
  std::vector<T> host(there.rows() * there.cols());
  if (!host.empty()) device.copy_to_host(there.data(), host.data(), there.bytes());
  return host;
}

}  // namespace longshadow
