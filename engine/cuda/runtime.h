#pragma once

/// CUDA's runtime API: NVIDIA's, or, in a build for the host executor, the stand-in.
#ifdef LONGSHADOW_CUDA_HOST
#include "engine/cuda/host/runtime.h"
#else
#include <cuda_runtime.h>
#endif

namespace longshadow {

/// Throws Error, saying which call failed and why.
void check_cuda(cudaError_t status, const char* call);

}  // namespace longshadow
