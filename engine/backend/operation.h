#pragma once

#include "engine/backend/cpu.h"
#include "engine/backend/device.h"
#include "engine/core/error.h"

namespace longshadow {

class Cuda;

/// The device as the CUDA device that it is; what is defined in cuda/cuda.cc.
Cuda& cuda_of(Device& device);

/// What an operation has besides the processor's implementation, which is its own body: the one
/// that a library of another device's kernels put in. `Self` names the operation, as in
///   struct RmsNorm : Operation<RmsNorm, ConstTensorView, ...> {};
/// so that a program without such a library neither links nor needs its kernels.
template <class Self, class... Arguments>
class Operation {
 public:
  using OnCuda = void (*)(Cuda& device, Arguments... arguments);

  /// Called once, by the library of kernels, before the first device exists.
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
