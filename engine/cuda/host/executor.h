#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

/// Runs CUDA kernels on the processor, so that they can be tested where there is no GPU: the blocks
/// of a grid one after the other, the threads of a block as fibers that change at barriers and warp
/// operations alone. What a kernel may not rely on, it does not get:
///   - blocks and threads run in the order that is set, each thread as far as its next barrier, so
///     that a race or a missing barrier reads what is not there yet in one order or another;
///   - shared memory begins as NaN in every block;
///   - a barrier that some threads of a block miss, or reach in another place, is an error.
/// With LONGSHADOW_LEFT_OUT_BARRIER=x_cuda.cu:39 in the environment the barrier on that line is not
/// there: a test that then fails shows that the barrier is needed, and that its lack would be seen.
namespace longshadow::host_cuda {

enum class ThreadOrder { ascending, descending, shuffled };

/// Of blocks and of the threads of a block, in all grids that run from now on.
void set_thread_order(ThreadOrder order);

inline constexpr unsigned kWarpSize = 32;

/// Runs a grid to its end; `thread` is what each thread does. block_threads is at most 1024 and a
/// multiple of kWarpSize. Throws Error for other sizes, for a divergent barrier, and what a thread
/// throws.
void run_grid(unsigned n_blocks, unsigned block_threads, std::size_t shared_bytes,
              const std::function<void()>& thread);

/// What follows is called by the threads of a grid.

struct ThreadPlace {
  unsigned block, n_blocks;
  unsigned thread, n_threads;
};
const ThreadPlace& place();

struct SourceLine {
  const char* file = "";
  unsigned line = 0;
};

/// Of the block, aligned as for any type.
void* shared_memory();

/// Waits for all threads of the block.
void block_barrier(SourceLine where);

/// Gives `value` to the warp, waits for all its lanes, and returns what they gave: kWarpSize
/// values, valid until the warp's next operation.
const std::uint64_t* exchange_in_warp(std::uint64_t value, SourceLine where);

}  // namespace longshadow::host_cuda
