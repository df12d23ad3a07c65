#include "engine/cuda/cuda.h"

#include <cstdint>
#include <mutex>

#include "engine/backend/cuda_devices.h"
#include "engine/core/error.h"
#include "engine/cuda/product_algorithms.h"
#include "engine/cuda/runtime.h"
#include "engine/cuda/staging.h"

namespace longshadow {
namespace {

int count_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();  // so that nobody else finds it: no driver is no failure
  return status == cudaSuccess ? count : 0;
}

std::string in_gibibytes(std::size_t bytes) {
  const std::size_t tenths = (bytes >> 20) * 10 >> 10;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

}  // namespace

void check_cuda(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw Error(std::string(call) + ": " + cudaGetErrorString(status));
}

void check_cublas(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string(call) + ": " + cublasLtGetStatusString(status));
}

bool Cuda::is_gpu() {
#ifdef LONGSHADOW_CUDA_HOST
  return false;
#else
  return true;
#endif
}

bool Cuda::is_available() { return count_devices() > 0; }

void provide_cuda() {
  provide_cuda_devices({Cuda::is_gpu(), Cuda::is_available,
                        []() -> std::unique_ptr<Device> { return std::make_unique<Cuda>(); }});
}

Cuda& cuda_of(Device& device) { return static_cast<Cuda&>(device); }

Cuda::Cuda(int index) : index_(index) {
  static std::once_flag kernels_are_there;
  std::call_once(kernels_are_there, implement_cuda_operations);
  const int count = count_devices();
  if (index >= count) {
    throw Error("`device` cuda: expected a CUDA device and its driver, found " +
                (count == 0 ? "none" : "devices below " + std::to_string(count)) +
                "; `device` cpu needs neither");
  }
  check_cuda(cudaSetDevice(index), "cudaSetDevice");
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  name_ = properties.name;
  // Memory that was freed stays with the process: getting it back from the driver takes longer than
  // most operations.
  cudaMemPool_t pool;
  std::uint64_t everything = UINT64_MAX;
  check_cuda(cudaDeviceGetDefaultMemPool(&pool, index), "cudaDeviceGetDefaultMemPool");
  check_cuda(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &everything),
             "cudaMemPoolSetAttribute");
  check_cuda(cudaStreamCreate(&stream_), "cudaStreamCreate");
  staging_ = std::make_unique<Staging>(stream_);
  product_algorithms_ = std::make_unique<ProductAlgorithms>(*this);
}

Cuda::~Cuda() {
  product_algorithms_.reset();
  staging_.reset();
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

std::string Cuda::arithmetic() const { return name_ + ", " + product_algorithms_->library(); }

std::size_t Cuda::total_bytes() const {
  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return total;
}

void* Cuda::allocate(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocAsync(&memory, bytes, stream_);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error(name_ + ": " + in_gibibytes(bytes) + " more do not fit its memory of " +
                in_gibibytes(total_bytes()) + "; a smaller `memory` takes less at once");
  }
  check_cuda(status, "cudaMallocAsync");
  return memory;
}

void Cuda::free(void* memory) noexcept { cudaFreeAsync(memory, stream_); }

void Cuda::copy_to_device(const void* host, void* there, std::size_t bytes) {
  staging_->copy_to_device(host, there, bytes);
}

void Cuda::copy_to_host(const void* there, void* host, std::size_t bytes) {
  staging_->copy_to_host(there, host, bytes);
}

void Cuda::synchronize() { check_cuda(cudaStreamSynchronize(stream_), "on the CUDA device"); }

void* Cuda::ZeroedMemory::do_allocate(std::size_t bytes, std::size_t) {
  void* const memory = device_.allocate(bytes);
  check_cuda(cudaMemsetAsync(memory, 0, bytes, device_.stream()), "cudaMemsetAsync");
  return memory;
}

void Cuda::ZeroedMemory::do_deallocate(void* memory, std::size_t, std::size_t) {
  device_.free(memory);
}

}  // namespace longshadow
