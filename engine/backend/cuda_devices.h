#pragma once

#include <memory>

#include "engine/backend/device.h"

namespace longshadow {

/// The CUDA devices of a program that has kernels for them.
struct CudaDevices {
  bool are_gpus;  ///< and not the processor, which runs the kernels for tests
  bool (*is_any_here)();
  /// Throws Error where there is none.
  std::unique_ptr<Device> (*make)();
};

/// Called by a main() that has them, before anybody asks.
void provide_cuda_devices(const CudaDevices& devices);

/// Null in a program without kernels.
const CudaDevices* cuda_devices();

}  // namespace longshadow
