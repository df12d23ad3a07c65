#pragma once

#include <cstddef>
#include <utility>

#include "engine/backend/device.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// A matrix of the host's, in a device's memory. The processor's memory is the host's.
Tensor on_device(Device& device, Tensor host);
template <class T>
Matrix<T> on_device(Device& device, Matrix<T> host) {
  if (device.kind() == DeviceKind::cpu) return host;
  Matrix<T> there(device.memory(), host.rows(), host.cols());
  if (host.bytes() != 0) device.copy_to_device(host.data(), there.data(), host.bytes());
  return there;
}

/// The right-hand factor of products from a matrix in the device's memory; `multiple` as
/// PackedWeights() takes it.
PackedWeights pack(Device& device, Tensor there, std::size_t multiple = kOutputMultiple);

/// Packs a matrix that stays where it is and outlives the result.
PackedWeights pack_view(Device& device, ConstTensorView there);

/// Dense rows of the device's become dense rows of the host's of the same shape, which may have
/// another type: f64 or f32.
void copy_to_host(Device& device, ConstTensorView there, TensorView host);

/// A matrix of the device's, in the host's memory.
Tensor to_host(Device& device, Tensor there);
template <class T>
Matrix<T> to_host(Device& device, Matrix<T> there) {
  if (device.kind() == DeviceKind::cpu) return there;
  Matrix<T> host(host_memory(), there.rows(), there.cols());
  copy_to_host(device, std::as_const(there).view(), host.view());
  return host;
}

}  // namespace longshadow
