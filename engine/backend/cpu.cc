#include "engine/backend/cpu.h"

#include <cstring>
#include <new>

namespace longshadow {
namespace {

class ZeroedMemory final : public std::pmr::memory_resource {
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    void* memory = ::operator new(bytes, std::align_val_t(alignment));
    return std::memset(memory, 0, bytes);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    ::operator delete(memory, bytes, std::align_val_t(alignment));
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

Cpu::Cpu(std::size_t threads)
    : limit_(tbb::global_control::max_allowed_parallelism,
             threads != 0 ? threads : static_cast<std::size_t>(tbb::info::default_concurrency())),
      arena_(threads != 0 ? static_cast<int>(threads) : tbb::task_arena::automatic) {
  arena_.initialize();
}

std::pmr::memory_resource* Cpu::memory() {
  static ZeroedMemory memory;
  return &memory;
}

}  // namespace longshadow
