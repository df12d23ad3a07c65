#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <numeric>

#include "engine/core/error.h"
#include "engine/cuda/host/executor.h"
#include "engine/cuda/launch.h"
#include "tests/support/thread_orders.h"

// What the executor of host/ lets pass and what it does not. "[host_cuda]" is the label in ctest.
namespace longshadow {
namespace {

using host_cuda::ThreadOrder;

/// out[i] of the block's threads, each the neighbour's number.
template <bool with_barrier>
void neighbours(unsigned* out) {
  auto* const shared = shared_memory<unsigned>();
  shared[threadIdx.x] = threadIdx.x;
  if (with_barrier) __syncthreads();
  out[global_thread()] = shared[(threadIdx.x + 1) % blockDim.x];
}

/// The sum of the numbers below the block's size, halving what is left; the barrier within the loop
/// is left out on demand.
template <bool with_barrier>
void reduce(unsigned* out) {
  auto* const shared = shared_memory<unsigned>();
  shared[threadIdx.x] = threadIdx.x;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (with_barrier) __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = shared[0];
}

/// Blocks must not count on one another: block b reads what block b - 1 writes.
void chain(unsigned* out) {
  if (threadIdx.x == 0) out[blockIdx.x + 1] = out[blockIdx.x] + 1;
}

std::vector<unsigned> run(void (*kernel)(unsigned*), unsigned grid, unsigned block,
                          std::size_t size) {
  Cuda device;
  DeviceArray<unsigned> out(device, std::span<const unsigned>(std::vector<unsigned>(size)));
  launch(device, kernel, grid, block, block * sizeof(unsigned), out.data());
  return out.on_host();
}

/// In how many of the three orders the kernel's result is `expected`.
int orders_with(void (*kernel)(unsigned*), unsigned grid, unsigned block,
                const std::vector<unsigned>& expected) {
  int count = 0;
  for (const ThreadOrder order : test::kThreadOrders) {
    const test::InThreadOrder scope(order);
    count += run(kernel, grid, block, expected.size()) == expected;
  }
  return count;
}

TEST_CASE("threads of a block meet at barriers, in every order", "[host_cuda]") {
  const unsigned block = GENERATE(32u, 96u, 1024u);
  std::vector<unsigned> expected;
  for (unsigned b = 0; b < 3; ++b) {
    for (unsigned i = 0; i < block; ++i) expected.push_back((i + 1) % block);
  }
  CHECK(orders_with(neighbours<true>, 3, block, expected) == 3);
}

TEST_CASE("a missing barrier is a wrong result in some order", "[host_cuda]") {
  std::vector<unsigned> next(64);
  std::iota(next.begin(), next.end(), 1u);
  next.back() = 0;
  CHECK(orders_with(neighbours<false>, 1, 64, next) < 3);
  const std::vector<unsigned> sums(5, 127 * 128 / 2);
  CHECK(orders_with(reduce<true>, 5, 128, sums) == 3);
  CHECK(orders_with(reduce<false>, 5, 128, sums) < 3);
}

TEST_CASE("a race of blocks is a wrong result in some order", "[host_cuda]") {
  CHECK(orders_with(chain, 7, 32, {0, 1, 2, 3, 4, 5, 6, 7}) == 1);
}

void half_a_block_waits(unsigned*) {
  if (threadIdx.x < 16) __syncthreads();
}
void two_barriers(unsigned*) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
void half_a_warp_sums(unsigned* out) {
  if (threadIdx.x < 16) out[0] = warp_sum(1u);
}

TEST_CASE("a divergent barrier is an error that says where", "[host_cuda]") {
  const test::InThreadOrder scope(GENERATE(from_range(test::kThreadOrders)));
  using Catch::Contains;
  CHECK_THROWS_WITH(run(half_a_block_waits, 2, 64, 1), Contains("divergent barrier: in block") &&
                                                           Contains("has ended") &&
                                                           Contains("host_executor_test.cc:"));
  CHECK_THROWS_WITH(run(two_barriers, 1, 32, 1), Contains("where thread 1 does not come"));
  CHECK_THROWS_WITH(run(half_a_warp_sums, 1, 32, 1), Contains("launch.h:"));
  // What follows is not the worse for it.
  CHECK(run(reduce<true>, 1, 32, 1) == std::vector<unsigned>{31 * 32 / 2});
}

void throws_in_one_thread(unsigned*) {
  __syncthreads();
  if (threadIdx.x == 40) throw Error("thread 40");
  __syncthreads();
}

TEST_CASE("an exception of a thread reaches who waits for the stream", "[host_cuda]") {
  CHECK_THROWS_WITH(run(throws_in_one_thread, 2, 64, 1), Catch::Contains("thread 40"));
}

void warp_operations(unsigned* out) {
  const unsigned sum = warp_sum(threadIdx.x % kWarp + threadIdx.x / kWarp);
  const unsigned largest = warp_max(lane() ^ 21u);
  const unsigned of_lane_3 = __shfl_sync(kAllLanes, unsigned{threadIdx.x}, 3);
  const unsigned odd = __ballot_sync(kAllLanes, lane() % 2 == 1);
  out[4 * threadIdx.x] = sum;
  out[4 * threadIdx.x + 1] = largest;
  out[4 * threadIdx.x + 2] = of_lane_3;
  out[4 * threadIdx.x + 3] = odd;
}

TEST_CASE("warps exchange values, in every order", "[host_cuda]") {
  std::vector<unsigned> expected;
  for (unsigned i = 0; i < 96; ++i) {
    const unsigned warp = i / 32;
    expected.insert(expected.end(), {31 * 32 / 2 + 32 * warp, 31, 32 * warp + 3, 0xaaaaaaaau});
  }
  CHECK(orders_with(warp_operations, 1, 96, expected) == 3);
}

void reads_fresh_memory(unsigned* out) {
  out[threadIdx.x] = shared_memory<unsigned>()[threadIdx.x];
  shared_memory<unsigned>()[threadIdx.x] = 7;
}

TEST_CASE("shared and device memory begin as NaN", "[host_cuda]") {
  CHECK(run(reads_fresh_memory, 2, 32, 32) == std::vector<unsigned>(32, 0xffffffffu));
  Cuda device;
  for (int i = 0; i < 2; ++i) {  // the second time it is memory that was used
    const DeviceArray<float> fresh(device, 100);
    const std::vector<float> values = fresh.on_host();
    CHECK(std::all_of(values.begin(), values.end(), [](float value) { return value != value; }));
    device.copy_to_device(std::vector<float>(100).data(), fresh.data(), 400);
  }
}

TEST_CASE("launches that no card takes are refused", "[host_cuda]") {
  for (const unsigned block : {0u, 33u, 1056u}) {
    CAPTURE(block);
    CHECK_THROWS_AS(run(chain, 1, block, 2), Error);
  }
  Cuda device;
  launch(device, chain, 1, 32, 49 * 1024, static_cast<unsigned*>(nullptr));
  CHECK_THROWS_AS(device.synchronize(), Error);
}

/// The signal that ends a process which does this; 0: it lives.
int signal_of(const std::function<void()>& action) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    action();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// In a child process, which the fault ends.
TEST_CASE("the host faults where it touches the device's memory", "[host_cuda]") {
  Cuda device;
  const DeviceArray<unsigned> array(device, 100);
  volatile unsigned* const element = array.data() + 30;
  CHECK(signal_of([] {}) == 0);
  CHECK(signal_of([&] { static_cast<void>(*element); }) == SIGSEGV);
  CHECK(signal_of([&] { *element = 1; }) == SIGSEGV);
  launch(device, reads_fresh_memory, 1, 32, 128, array.data());
  device.synchronize();
  CHECK(signal_of([&] { static_cast<void>(*element); }) == SIGSEGV);
}

}  // namespace
}  // namespace longshadow
