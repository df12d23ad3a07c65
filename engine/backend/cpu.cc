#include "engine/backend/cpu.h"

#include <sys/mman.h>

#include <cstring>
#include <new>
#include <string>

#include "engine/core/error.h"

namespace longshadow {
namespace {

/// More than any machine has cores; far more would end the process where no thread is to be had.
constexpr std::size_t kMaxThreads = 1024;

/// From this size on, memory comes from the system in whole pages, zeroed and large where it can:
/// a cache of gigabytes is neither written twice nor looked up in pages of 4 kB.
constexpr std::size_t kLargeBytes = std::size_t{2} << 20;

class ZeroedMemory final : public std::pmr::memory_resource {
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes < kLargeBytes) {
      return std::memset(::operator new(bytes, std::align_val_t(alignment)), 0, bytes);
    }
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, MADV_HUGEPAGE);  // advice: to be refused it is no harm
#endif
    return memory;
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    if (bytes < kLargeBytes) {
      ::operator delete(memory, bytes, std::align_val_t(alignment));
    } else {
      munmap(memory, bytes);
    }
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

int checked_threads(std::size_t threads) {
  if (threads > kMaxThreads) {
    throw UsageError("`threads`: expected at most " + std::to_string(kMaxThreads) + ", found " +
                     std::to_string(threads));
  }
  return threads != 0 ? static_cast<int>(threads) : tbb::info::default_concurrency();
}

}  // namespace

Cpu::Cpu(std::size_t threads)
    : limit_(tbb::global_control::max_allowed_parallelism,
             static_cast<std::size_t>(checked_threads(threads))),
      arena_(checked_threads(threads)) {
  arena_.initialize();
}

void Cpu::copy_to_device(const void* host, void* there, std::size_t bytes) {
  std::memcpy(there, host, bytes);
}

void Cpu::copy_to_host(const void* there, void* host, std::size_t bytes) {
  std::memcpy(host, there, bytes);
}

std::pmr::memory_resource* host_memory() {
  // Never destroyed: threads give their scratch back after the program's static objects are gone.
  static auto* const memory = new ZeroedMemory;
  return memory;
}

}  // namespace longshadow
