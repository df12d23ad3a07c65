#include "engine/cuda/host/device_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) static_cast<void>(0)
#endif

#include "engine/core/range.h"

namespace longshadow::host_cuda {
namespace {

/// Addresses are reserved, memory is taken as it is written.
constexpr std::size_t kTotalBytes = std::size_t{64} << 30;
constexpr std::size_t kAlignment = 256;

/// Access is given in these steps, so that no page of the system's has to be split.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// An allocation and a gap behind it.
std::size_t with_gap(std::size_t bytes) { return round_up(bytes, kAlignment) + kAlignment; }

}  // namespace

DeviceMemory& DeviceMemory::instance() {
  static auto* const memory = new DeviceMemory;  // outlives static objects that free in it
  return *memory;
}

DeviceMemory::DeviceMemory() {
  void* reserved = mmap(nullptr, kTotalBytes + kHugePage, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) throw std::bad_alloc();
  begin_ = static_cast<std::byte*>(reserved);
  begin_ += round_up(reinterpret_cast<std::uintptr_t>(begin_), kHugePage) -
            reinterpret_cast<std::uintptr_t>(begin_);
#ifdef MADV_HUGEPAGE
  madvise(begin_, kTotalBytes, MADV_HUGEPAGE);  // or opening and closing takes its time per page
#endif
}

void* DeviceMemory::allocate(std::size_t bytes) {
  const std::size_t needed = with_gap(bytes);
  std::byte* memory;
  if (const auto found = freed_.find(needed); found != freed_.end()) {
    memory = found->second;
    freed_.erase(found);
  } else {
    if (needed > kTotalBytes - used_) return nullptr;
    memory = begin_ + used_;
    used_ += needed;
  }
  allocations_.emplace(memory, bytes);
  allocated_ += needed;
  ASAN_UNPOISON_MEMORY_REGION(memory, needed);
  ASAN_POISON_MEMORY_REGION(memory + bytes, needed - bytes);
  return memory;
}

bool DeviceMemory::free(void* memory) {
  const auto found = allocations_.find(static_cast<std::byte*>(memory));
  if (found == allocations_.end()) return false;
  const std::size_t bytes = with_gap(found->second);
  ASAN_POISON_MEMORY_REGION(found->first, bytes);
  freed_.emplace(bytes, found->first);
  allocated_ -= bytes;
  allocations_.erase(found);
  return true;
}

bool DeviceMemory::holds(const void* memory, std::size_t bytes) const {
  const auto* const begin = static_cast<const std::byte*>(memory);
  auto after = allocations_.upper_bound(const_cast<std::byte*>(begin));
  if (after == allocations_.begin()) return false;
  const auto& [start, size] = *--after;
  const auto offset = static_cast<std::size_t>(begin - start);
  return offset <= size && bytes <= size - offset;
}

bool DeviceMemory::is_device_address(const void* memory) const {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const auto begin = reinterpret_cast<std::uintptr_t>(begin_);
  return address >= begin && address < begin + kTotalBytes;
}

std::size_t DeviceMemory::total_bytes() const { return kTotalBytes; }
std::size_t DeviceMemory::free_bytes() const { return kTotalBytes - allocated_; }

DeviceMemory::Access::Access() {
  DeviceMemory& memory = instance();
  if (memory.n_accesses_++ == 0) {
    mprotect(memory.begin_, round_up(memory.used_, kHugePage), PROT_READ | PROT_WRITE);
  }
}

DeviceMemory::Access::~Access() {
  DeviceMemory& memory = instance();
  if (--memory.n_accesses_ == 0) {
    mprotect(memory.begin_, round_up(memory.used_, kHugePage), PROT_NONE);
  }
}

}  // namespace longshadow::host_cuda
