#include "engine/cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "engine/core/range.h"
#include "engine/cuda/runtime.h"

namespace longshadow {
namespace {

/// Long enough that starting a copy takes no time beside it: a millisecond's tenth at 25 GB/s.
constexpr std::size_t kPartBytes = std::size_t{2} << 20;

/// Copies run fastest between addresses that such a number divides.
constexpr std::size_t kAlignment = 256;

}  // namespace

Staging::Staging(CUstream_st* stream) : stream_(stream) {
  for (Part& part : parts_) {
    void* memory = nullptr;
    check_cuda(cudaMallocHost(&memory, kPartBytes), "cudaMallocHost");
    part.memory = static_cast<std::byte*>(memory);
    check_cuda(cudaEventCreateWithFlags(&part.done, cudaEventDisableTiming),
               "cudaEventCreateWithFlags");
  }
}

Staging::~Staging() {
  cudaStreamSynchronize(stream_);
  for (const Part& part : parts_) {
    cudaEventDestroy(part.done);
    cudaFreeHost(part.memory);
  }
}

void Staging::copy_to_device(const void* host, void* device, std::size_t bytes) {
  const auto* from = static_cast<const std::byte*>(host);
  auto* to = static_cast<std::byte*>(device);
  while (bytes != 0) {
    const std::size_t count = std::min(bytes, kPartBytes);
    std::byte* const staged = take(count);
    std::memcpy(staged, from, count);
    check_cuda(cudaMemcpyAsync(to, staged, count, cudaMemcpyHostToDevice, stream_),
               "copy to the device");
    from += count;
    to += count;
    bytes -= count;
  }
}

void Staging::copy_to_host(const void* device, void* host, std::size_t bytes) {
  const auto* from = static_cast<const std::byte*>(device);
  auto* to = static_cast<std::byte*>(host);
  // While one part is on its way, the one before is copied out.
  const Part* arriving = nullptr;
  const auto copy_out = [&] {
    if (arriving == nullptr) return;
    check_cuda(cudaEventSynchronize(arriving->done), "copy to the host");
    std::memcpy(to, arriving->memory, arriving->used);
    to += arriving->used;
  };
  while (bytes != 0) {
    Part& part = next_part();
    part.used = std::min(bytes, kPartBytes);
    check_cuda(cudaMemcpyAsync(part.memory, from, part.used, cudaMemcpyDeviceToHost, stream_),
               "copy to the host");
    check_cuda(cudaEventRecord(part.done, stream_), "cudaEventRecord");
    copy_out();
    arriving = &part;
    from += part.used;
    bytes -= part.used;
  }
  copy_out();
}

std::byte* Staging::take(std::size_t bytes) {
  Part* part = &parts_[turn_];
  if (part->used + bytes > kPartBytes) part = &next_part();
  std::byte* const taken = part->memory + part->used;
  part->used += round_up(bytes, kAlignment);
  return taken;
}

Staging::Part& Staging::next_part() {
  check_cuda(cudaEventRecord(parts_[turn_].done, stream_), "cudaEventRecord");
  turn_ = (turn_ + 1) % parts_.size();
  Part& part = parts_[turn_];
  check_cuda(cudaEventSynchronize(part.done), "on the CUDA device");
  part.used = 0;
  return part;
}

}  // namespace longshadow
