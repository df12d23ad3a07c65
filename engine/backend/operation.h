#pragma once

#include "engine/backend/device.h"

namespace longshadow {

class Cuda;

/// The device as the CUDA device that it is. Part of the library of kernels, engine/cuda.
Cuda& cuda_of(Device& device);

/// Holds an operation's implementation on CUDA, which the library of kernels puts in where the
/// program has one. The operation itself is a function whose body is the processor's
/// implementation. `Self` names the operation:
///   struct RmsNormKernel : Operation<RmsNormKernel, ConstTensorView, ...> {};
template <class Self, class... Arguments>
class Operation {
 public:
  /// Puts the implementation in, a lambda (Cuda& device, Arguments... arguments) without captures.
  /// The library of kernels calls it once, before a device exists.
  template <class Kernel>
  static void implement(Kernel) {
    elsewhere_ = [](Device& device, Arguments... arguments) {
      Kernel{}(cuda_of(device), arguments...);
    };
  }

  /// Runs the implementation that was put in where the device is not the processor.
  static bool ran_elsewhere(Device& device, Arguments... arguments) {
    if (device.kind() == DeviceKind::cpu) return false;
    elsewhere_(device, arguments...);
    return true;
  }

 private:
  static inline void (*elsewhere_)(Device& device, Arguments... arguments) = nullptr;
};

}  // namespace longshadow
