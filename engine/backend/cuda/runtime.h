#pragma once

/// CUDA's runtime API and cuBLAS: NVIDIA's, or, in a build for the host executor, the stand-ins.
#ifdef LONGSHADOW_CUDA_HOST
#include "engine/backend/cuda/host/cublas.h"
#include "engine/backend/cuda/host/runtime.h"
#else
#include <cublas_v2.h>
#include <cuda_runtime.h>
#endif

namespace longshadow {

/// Throws Error, saying which call failed and why.
void check_cuda(cudaError_t status, const char* call);
void check_cuda(cublasStatus_t status, const char* call);

}  // namespace longshadow
