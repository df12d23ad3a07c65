// A loop whose calls race. ThreadSanitizer must report it, whatever its suppressions hide.
#include <atomic>
#include <cstdio>
#include <thread>

#include "engine/backend/cpu.h"

int main() {
  longshadow::Cpu cpu(2);
  std::atomic<int> arrived = 0;
  std::size_t sum = 0;
  cpu.parallel_for(2, [&](std::size_t i) {
    // Each waits for the other, so that two threads add; relaxed, so that nothing orders them.
    arrived.fetch_add(1, std::memory_order_relaxed);
    while (arrived.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
    sum += i;
  });
  std::printf("%zu\n", sum);
}
