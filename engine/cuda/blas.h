#pragma once

/// cuBLASLt: NVIDIA's, or, in a build for the host executor, the stand-in. Apart from the runtime,
/// because kernels compile without it, and it is half a gigabyte.
#ifdef LONGSHADOW_CUDA_HOST
#include "engine/cuda/host/cublas_lt.h"
#else
#include <cublasLt.h>
#endif

namespace longshadow {

/// Throws Error, saying which call failed and why.
void check_cublas(cublasStatus_t status, const char* call);

}  // namespace longshadow
