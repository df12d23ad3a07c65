#pragma once

#include <cstddef>
#include <map>

namespace longshadow::host_cuda {

/// A device's memory: a range of addresses that nothing may touch while no DeviceMemory::Access
/// exists, so that the host's code faults where it reads or writes what is the kernels'.
/// AddressSanitizer guards what lies between and what was freed.
class DeviceMemory {
 public:
  /// The process's one.
  static DeviceMemory& instance();

  /// At an address divisible by 256, as CUDA's; null where there is none left.
  void* allocate(std::size_t bytes);
  /// False where nothing was allocated at `memory`.
  bool free(void* memory);

  /// Whether the bytes lie within one allocation.
  bool holds(const void* memory, std::size_t bytes) const;
  /// Whether the address is the device's, allocated or not.
  bool is_device_address(const void* memory) const;

  std::size_t total_bytes() const;
  std::size_t free_bytes() const;

  /// While one exists, memory can be read and written.
  class Access {
   public:
    Access();
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
  };

 private:
  DeviceMemory();

  std::byte* begin_;
  std::size_t used_ = 0;  ///< bytes from begin_ on that were ever allocated
  std::size_t allocated_ = 0;
  std::map<std::byte*, std::size_t> allocations_;  ///< address, bytes asked for
  std::multimap<std::size_t, std::byte*> freed_;   ///< bytes with the gap behind, address
  std::size_t n_accesses_ = 0;
};

}  // namespace longshadow::host_cuda
