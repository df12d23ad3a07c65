#include "engine/backend/transfer.h"

#include <algorithm>

#include "engine/backend/cpu.h"
#include "engine/core/require.h"

namespace longshadow {
namespace {

void convert(ConstTensorView from, TensorView to) {
  with_element<double, float>("copy_to_host", from.element, [&]<class T>() {
    with_element<double, float>("copy_to_host", to.element, [&]<class U>() {
      const T* const first = from.as<T>().data;
      std::transform(first, first + from.rows * from.cols, to.as<U>().data,
                     [](T value) { return static_cast<U>(value); });
    });
  });
}

}  // namespace

Tensor on_device(Device& device, Tensor host) {
  if (device.kind() == DeviceKind::cpu) return host;
  Tensor there(device.memory(), host.element(), host.rows(), host.cols());
  if (host.bytes() != 0) device.copy_to_device(host.data(), there.data(), host.bytes());
  return there;
}

PackedWeights pack(Device& device, Tensor there, std::size_t multiple) {
  if (device.kind() != DeviceKind::cpu) return PackedWeights(std::move(there));
  return PackedWeights(cpu_of(device), std::as_const(there).view(), multiple);
}

PackedWeights pack_view(Device& device, ConstTensorView there) {
  if (device.kind() != DeviceKind::cpu) return PackedWeights(there);
  return PackedWeights(cpu_of(device), there);
}

void copy_to_host(Device& device, ConstTensorView there, TensorView host) {
  require_shape("copy_to_host", "host", host, there.rows, there.cols);
  require_dense("copy_to_host", "there", there);
  require_dense("copy_to_host", "host", host);
  const std::size_t bytes = there.rows * there.cols * size_of(there.element);
  if (bytes == 0) return;
  if (there.element == host.element) {
    device.copy_to_host(there.data, host.data, bytes);
  } else if (device.kind() == DeviceKind::cpu) {
    convert(there, host);
  } else {
    Tensor as_it_is(host_memory(), there.element, there.rows, there.cols);
    device.copy_to_host(there.data, as_it_is.data(), bytes);
    convert(as_it_is.view(), host);
  }
}

Tensor to_host(Device& device, Tensor there) {
  if (device.kind() == DeviceKind::cpu) return there;
  Tensor host(host_memory(), there.element(), there.rows(), there.cols());
  copy_to_host(device, there.view(), host.view());
  return host;
}

}  // namespace longshadow
