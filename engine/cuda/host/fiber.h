#pragma once

#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstddef>
#include <functional>

namespace longshadow::host_cuda {

/// A stack of its own on which one piece of work after another can run, stop in the middle and go
/// on later, all on the calling thread. AddressSanitizer is told of each change of stacks.
class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Starts `work`, which must outlive it and throw nothing. Returns as resume() does.
  bool start(const std::function<void()>& work);
  /// Goes on where the work stopped; returns whether it ended rather than stopped again.
  bool resume();
  /// Called by the work: back to who resumed it.
  void stop();

 private:
  void switched_in();

  boost::context::protected_fixedsize_stack allocator_;
  boost::context::stack_context stack_;
  boost::context::fiber inside_;   ///< where the fiber stopped; empty while it runs
  boost::context::fiber resumer_;  ///< where it was resumed; empty while it is stopped
  const std::function<void()>* work_ = nullptr;  ///< null: the fiber is to end
  bool ended_ = true;
  const void* resumer_stack_ = nullptr;
  std::size_t resumer_stack_size_ = 0;
  void* saved_by_sanitizer_ = nullptr;
};

}  // namespace longshadow::host_cuda
