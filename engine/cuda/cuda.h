#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend/device.h"
#include "engine/core/matrix.h"

struct CUstream_st;  // a cudaStream_t points to it

namespace longshadow {

class ProductAlgorithms;
class Staging;

/// A CUDA device with one stream, on which everything happens in the order of the calls: kernels,
/// products, copies, and giving memory out and back. Calls return before the device is done; those
/// that bring something to the host wait for it.
class Cuda final : public Device {
 public:
  /// Whether this build's CUDA devices are GPUs, and not the processor (host/executor.h).
  static bool is_gpu();
  /// Whether there is a device that this build can use.
  static bool is_available();

  /// Throws Error where there is none.
  explicit Cuda(int index = 0);
  ~Cuda() override;
  Cuda(const Cuda&) = delete;
  Cuda& operator=(const Cuda&) = delete;

  DeviceKind kind() const override { return DeviceKind::cuda; }
  std::string name() const override { return name_; }
  /// Its name and cuBLASLt's version.
  std::string arithmetic() const override;
  std::size_t total_bytes() const override;
  CUstream_st* stream() const { return stream_; }
  ProductAlgorithms& product_algorithms() { return *product_algorithms_; }

  /// The Error says how much memory there is.
  std::pmr::memory_resource* memory() override { return &zeroed_; }

  /// Memory that holds anything, until it is freed: work that was started before may still use it.
  void* allocate(std::size_t bytes);
  void free(void* memory) noexcept;

  /// Through page-locked memory (staging.h).
  void copy_to_device(const void* host, void* there, std::size_t bytes) override;
  void copy_to_host(const void* there, void* host, std::size_t bytes) override;

  void synchronize() override;

 private:
  class ZeroedMemory final : public std::pmr::memory_resource {
   public:
    explicit ZeroedMemory(Cuda& device) : device_(device) {}

   private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override;
    bool do_is_equal(const memory_resource& other) const noexcept override {
      return this == &other;
    }
    Cuda& device_;
  };

  int index_;
  std::string name_;
  CUstream_st* stream_ = nullptr;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<ProductAlgorithms> product_algorithms_;
  ZeroedMemory zeroed_{*this};
};

/// Puts the kernels of all operations in (Operation::implement()), once. The first Cuda calls it.
void implement_cuda_operations();

/// Makes the program one that has CUDA devices (cuda_devices()).
void provide_cuda();

/// Elements in a device's memory that hold anything at first, for the time of one operation.
template <class T>
class DeviceArray {
 public:
  DeviceArray(Cuda& device, std::size_t size)
      : device_(&device),
        data_(size != 0 ? static_cast<T*>(device.allocate(size * sizeof(T))) : nullptr),
        size_(size) {}
  /// A copy of the host's elements.
  DeviceArray(Cuda& device, std::span<const T> host) : DeviceArray(device, host.size()) {
    if (size_ != 0) device.copy_to_device(host.data(), data_, host.size_bytes());
  }
  DeviceArray(DeviceArray&& other) noexcept
      : device_(other.device_),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  DeviceArray& operator=(DeviceArray&&) = delete;
  ~DeviceArray() {
    if (data_ != nullptr) device_->free(data_);
  }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }
  /// The elements as rows, one after the other.
  MatrixView<T> rows(std::size_t count, std::size_t cols) const {
    return {data_, count, cols, cols};
  }
  /// To the host, all of them; waits for the device.
  void copy_to(std::span<T> host) const {
    if (size_ != 0) device_->copy_to_host(data_, host.data(), size_ * sizeof(T));
  }
  std::vector<T> on_host() const {
    std::vector<T> host(size_);
    copy_to(host);
    return host;
  }

 private:
  Cuda* device_;
  T* data_;
  std::size_t size_;
};

}  // namespace longshadow
