#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <type_traits>

#include "engine/cuda/host/executor.h"
#include "engine/cuda/host/runtime.h"

/// CUDA's words in kernels, with their own names, for the host's compiler.

#define __global__
#define __device__
#define __host__

/// For f32 too, as CUDA has them.
namespace longshadow {
using std::cos;
using std::exp;
using std::expm1;
using std::log;
using std::log1p;
using std::round;
using std::sin;
using std::sqrt;
using std::tanh;
}  // namespace longshadow

namespace longshadow::host_cuda {

/// threadIdx and the like have one dimension.
template <unsigned ThreadPlace::*member>
struct Index {
  struct Dimension {
    operator unsigned() const { return place().*member; }
  } x;
};

/// Every lane's value, of the whole warp.
template <class T>
T from_lane(T value, unsigned lane, SourceLine where) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const std::uint64_t* const given = exchange_in_warp(bits, where);
  std::memcpy(&value, &given[lane % kWarpSize], sizeof value);
  return value;
}

template <class Body>
void launch(cudaStream_t stream, unsigned grid, unsigned block, std::size_t shared_bytes,
            Body body) {
  enqueue(stream, [=] { run_grid(grid, block, shared_bytes, body); });
}

}  // namespace longshadow::host_cuda

inline constexpr longshadow::host_cuda::Index<&longshadow::host_cuda::ThreadPlace::thread>
    threadIdx{};
inline constexpr longshadow::host_cuda::Index<&longshadow::host_cuda::ThreadPlace::block>
    blockIdx{};
inline constexpr longshadow::host_cuda::Index<&longshadow::host_cuda::ThreadPlace::n_threads>
    blockDim{};
inline constexpr longshadow::host_cuda::Index<&longshadow::host_cuda::ThreadPlace::n_blocks>
    gridDim{};

inline void __syncthreads(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
  longshadow::host_cuda::block_barrier({file, line});
}

template <class T>
T __shfl_sync(unsigned, T value, unsigned lane, const char* file = __builtin_FILE(),
              unsigned line = __builtin_LINE()) {
  return longshadow::host_cuda::from_lane(value, lane, {file, line});
}

template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned mask, const char* file = __builtin_FILE(),
                  unsigned line = __builtin_LINE()) {
  return longshadow::host_cuda::from_lane(value, unsigned{threadIdx.x} ^ mask, {file, line});
}

inline unsigned __ballot_sync(unsigned, bool vote, const char* file = __builtin_FILE(),
                              unsigned line = __builtin_LINE()) {
  const std::uint64_t* const given = longshadow::host_cuda::exchange_in_warp(vote, {file, line});
  unsigned votes = 0;
  for (unsigned lane = 0; lane < longshadow::host_cuda::kWarpSize; ++lane) {
    votes |= static_cast<unsigned>(given[lane]) << lane;
  }
  return votes;
}

/// The place of the lowest bit that is set, counted from 1; 0 where none is.
inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }
