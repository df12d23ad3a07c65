#pragma once

#include <cstddef>
#include <exception>
#include <memory_resource>
#include <mutex>

namespace longshadow {

/// The processor as a device. Every op splits its work into tiles whose shapes depend on the problem
/// alone and whose arithmetic one thread does from start to end, so that a result has the same bits
/// for any number of threads.
class Cpu {
 public:
  /// `threads` 0 means one per core that this process may use.
  explicit Cpu(std::size_t threads = 0);

  std::size_t threads() const { return threads_; }

  /// Memory for matrices: aligned to a cache line and zeroed.
  std::pmr::memory_resource* memory();

  /// Calls body(i) for every i in [0, count), in any order, on all threads. The first exception
  /// thrown by a call is rethrown here after the others have ended.
  template <class Body>
  void parallel_for(std::size_t count, Body&& body) {
    std::exception_ptr failure;
    std::mutex failure_mutex;
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(threads_))
    for (std::size_t i = 0; i < count; ++i) {
      try {
        body(i);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
  }

 private:
  std::size_t threads_;
};

}  // namespace longshadow
