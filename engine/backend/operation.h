#pragma once

#include "engine/backend/cpu.h"
#include "engine/backend/device.h"
#include "engine/core/error.h"

namespace longshadow {

class Cuda;

/// Views the device as the CUDA device that it is. Defined in cuda/cuda.cc.
Cuda& cuda_of(Device& device);

/// Holds an operation's implementation on CUDA, which the library of kernels puts in. The operation
/// itself is a function whose body is the processor's implementation. `Self` names the operation:
///   struct RmsNormKernel : Operation<RmsNormKernel, ConstTensorView, ...> {};
template <class Self, class... Arguments>
class Operation {
 public:
  using OnCuda = void (*)(Cuda& device, Arguments... arguments);

  /// Puts the implementation in. The library of kernels calls it once, before a device exists.
  static void implement(OnCuda on_cuda) { on_cuda_ = on_cuda; }

  /// Runs the implementation that was put in where the device is not the processor.
  static bool ran_elsewhere(Device& device, Arguments... arguments) {
    if (device.kind() == DeviceKind::cpu) return false;
    if (on_cuda_ == nullptr) throw Error("this program has no kernels for a CUDA device");
    on_cuda_(cuda_of(device), arguments...);
    return true;
  }

 private:
  static inline OnCuda on_cuda_ = nullptr;
};

}  // namespace longshadow
