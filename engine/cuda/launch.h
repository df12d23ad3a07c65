#pragma once

#include <cstddef>

#include "engine/cuda/cuda.h"
#include "engine/cuda/runtime.h"
#ifdef LONGSHADOW_CUDA_HOST
#include "engine/cuda/host/kernel.h"
#endif

/// What the sources of kernels, *_cuda.cu, are written with. They compile with nvcc for a GPU and
/// with the host's compiler for the executor in host/, and so keep to what both have: grids and
/// blocks of one dimension, whole warps, dynamic shared memory, __syncthreads(), __shfl_sync(),
/// __shfl_xor_sync() and __ballot_sync() of whole warps; no inline PTX, no barrier of a grid, and
/// no reliance on a warp's lanes running in step.
namespace longshadow {

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

/// Threads of a block where nothing speaks for another number: enough warps to hide the memory's
/// latency, and several blocks to a multiprocessor.
inline constexpr unsigned kBlock = 128;
inline constexpr unsigned kWarpsOfBlock = kBlock / kWarp;

/// kernel<<<grid, block, shared_bytes>>>(arguments...) on the device's stream; a grid of no blocks
/// does nothing.
template <class... Parameters, class... Arguments>
void launch(Cuda& device, void (*kernel)(Parameters...), std::size_t grid, unsigned block,
            std::size_t shared_bytes, Arguments... arguments) {
  if (grid == 0) return;
#ifdef LONGSHADOW_CUDA_HOST
  host_cuda::launch(device.stream(), static_cast<unsigned>(grid), block, shared_bytes,
                    [=] { kernel(arguments...); });
#else
  // clang-format off
  kernel<<<static_cast<unsigned>(grid), block, shared_bytes, device.stream()>>>(arguments...);
  // clang-format on
  check_cuda(cudaGetLastError(), "launch of a kernel");
#endif
}

/// One thread for each of `n` elements; the kernel begins with `if (global_thread() >= n) return`.
template <class... Parameters, class... Arguments>
void launch_elements(Cuda& device, void (*kernel)(Parameters...), std::size_t n,
                     Arguments... arguments) {
  launch(device, kernel, (n + kBlock - 1) / kBlock, kBlock, 0, arguments...);
}

/// One warp for each of `n` rows; the kernel begins with `if (global_warp() >= n) return`, which
/// whole warps do.
template <class... Parameters, class... Arguments>
void launch_rows(Cuda& device, void (*kernel)(Parameters...), std::size_t n,
                 Arguments... arguments) {
  launch(device, kernel, (n + kWarpsOfBlock - 1) / kWarpsOfBlock, kBlock, 0, arguments...);
}

__device__ inline std::size_t global_thread() {
  return std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline std::size_t global_warp() { return global_thread() / kWarp; }
__device__ inline unsigned lane() { return threadIdx.x % kWarp; }

/// The block's dynamic shared memory.
template <class T>
__device__ T* shared_memory() {
#ifdef LONGSHADOW_CUDA_HOST
  return static_cast<T*>(host_cuda::shared_memory());
#else
  extern __shared__ __align__(16) unsigned char longshadow_shared_memory[];
  return reinterpret_cast<T*>(longshadow_shared_memory);
#endif
}

/// Beyond it e^x overflows.
template <class T>
inline constexpr T kLargestExponent = sizeof(T) == 4 ? T(88) : T(709);

/// Over the warp's lanes, in every lane; the order of a sum is the same each time.
template <class T>
__device__ T warp_sum(T value) {
  for (unsigned step = kWarp / 2; step > 0; step /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, step);
  }
  return value;
}
template <class T>
__device__ T warp_max(T value) {
  for (unsigned step = kWarp / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, value, step);
    value = other > value ? other : value;
  }
  return value;
}

}  // namespace longshadow
