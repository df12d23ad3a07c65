#include "engine/cuda/host/runtime.h"

#include <cstring>
#include <deque>
#include <exception>
#include <iterator>
#include <map>
#include <new>
#include <utility>

#include "engine/cuda/host/device_memory.h"

using longshadow::host_cuda::DeviceMemory;
using longshadow::host_cuda::enqueue;
using longshadow::host_cuda::refuse;

struct CUstream_st {
  std::deque<std::function<void()>> work;
};

/// What was recorded last has happened once `to_come` is 0.
struct CUevent_st {
  cudaStream_t stream = nullptr;
  std::size_t to_come = 0;
};

namespace {

std::string reason = "no error";

cudaError_t fail(cudaError_t error, std::string why) {
  reason = std::move(why);
  return error;
}

std::string bytes_at(std::size_t bytes, const char* what) {
  return std::to_string(bytes) + " bytes that are not " + what;
}

/// Page-locked memory of the host's: addresses, bytes.
std::map<const std::byte*, std::size_t> page_locked;

bool is_page_locked(const void* memory, std::size_t bytes) {
  const auto* const address = static_cast<const std::byte*>(memory);
  const auto after = page_locked.upper_bound(address);
  if (after == page_locked.begin()) return false;
  const auto& [begin, size] = *std::prev(after);
  return address + bytes <= begin + size;
}

/// Does what the stream has left, until `done()`.
template <class Done>
cudaError_t run(cudaStream_t stream, const Done& done) {
  const DeviceMemory::Access access;
  try {
    while (!stream->work.empty() && !done()) {
      const std::function<void()> work = std::move(stream->work.front());
      stream->work.pop_front();
      work();
    }
  } catch (const std::exception& error) {
    stream->work.clear();
    return fail(cudaErrorLaunchFailure, error.what());
  }
  return cudaSuccess;
}

}  // namespace

namespace longshadow::host_cuda {

void enqueue(cudaStream_t stream, std::function<void()> work) {
  stream->work.push_back(std::move(work));
}

cudaError_t refuse(std::string why) { return fail(cudaErrorInvalidValue, std::move(why)); }

}  // namespace longshadow::host_cuda

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : reason.c_str();
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : refuse("there is device 0 alone");
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"the processor, as a CUDA device", DeviceMemory::instance().total_bytes()};
  return cudaSuccess;
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = DeviceMemory::instance().free_bytes();
  *total = DeviceMemory::instance().total_bytes();
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new CUstream_st;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const cudaError_t error = cudaStreamSynchronize(stream);
  delete stream;
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return run(stream, [] { return false; });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  ++event->to_come;
  enqueue(stream, [event] { --event->to_come; });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream == nullptr) return cudaSuccess;  // never recorded
  return run(event->stream, [event] { return event->to_come == 0; });
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = ::operator new(bytes);
  page_locked[static_cast<std::byte*>(*memory)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  if (page_locked.erase(static_cast<std::byte*>(memory)) == 0) {
    return refuse("freed what was not allocated");
  }
  ::operator delete(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
  *memory = DeviceMemory::instance().allocate(bytes);
  if (*memory == nullptr) return fail(cudaErrorMemoryAllocation, "out of memory");
  enqueue(stream, [fresh = *memory, bytes] { std::memset(fresh, 0xff, bytes); });
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  if (!DeviceMemory::instance().holds(memory, 0)) return refuse("freed what was not allocated");
  enqueue(stream, [memory] { DeviceMemory::instance().free(memory); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  if (!DeviceMemory::instance().holds(memory, bytes)) {
    return refuse("cudaMemset of " + bytes_at(bytes, "the device's"));
  }
  enqueue(stream, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const DeviceMemory& device = DeviceMemory::instance();
  const bool fits_to =
      kind == cudaMemcpyDeviceToHost ? is_page_locked(to, bytes) : device.holds(to, bytes);
  const bool fits_from =
      kind == cudaMemcpyHostToDevice ? is_page_locked(from, bytes) : device.holds(from, bytes);
  if (!fits_to || !fits_from) {
    return refuse("cudaMemcpy " + std::string(fits_to ? "from " : "to ") +
                  bytes_at(bytes, "where the kind of the copy says"));
  }
  enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
