#include "engine/cuda/host/fiber.h"

#include <memory>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace longshadow::host_cuda {
namespace {

/// Sanitizers' frames are several times as large.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = 256 * 1024;
#else
constexpr std::size_t kStackBytes = 64 * 1024;
#endif

void start_switch([[maybe_unused]] void** save, [[maybe_unused]] const void* bottom,
                  [[maybe_unused]] std::size_t size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(save, bottom, size);
#endif
}

void finish_switch([[maybe_unused]] void* saved, [[maybe_unused]] const void** bottom,
                   [[maybe_unused]] std::size_t* size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(saved, bottom, size);
#endif
}

}  // namespace

Fiber::Fiber() : allocator_(kStackBytes), stack_(allocator_.allocate()) {
  inside_ = boost::context::fiber(std::allocator_arg,
                                  boost::context::preallocated(stack_.sp, stack_.size, stack_),
                                  allocator_, [this](boost::context::fiber&& resumer) {
                                    resumer_ = std::move(resumer);
                                    switched_in();
                                    while (work_ != nullptr) {
                                      (*work_)();
                                      ended_ = true;
                                      stop();
                                    }
                                    start_switch(nullptr, resumer_stack_, resumer_stack_size_);
                                    return std::move(resumer_);
                                  });
}

Fiber::~Fiber() {
  work_ = nullptr;
  resume();
}

bool Fiber::start(const std::function<void()>& work) {
  work_ = &work;
  ended_ = false;
  return resume();
}

bool Fiber::resume() {
  void* saved = nullptr;
  start_switch(&saved, static_cast<const std::byte*>(stack_.sp) - stack_.size, stack_.size);
  inside_ = std::move(inside_).resume();
  finish_switch(saved, nullptr, nullptr);
  return ended_;
}

void Fiber::stop() {
  start_switch(&saved_by_sanitizer_, resumer_stack_, resumer_stack_size_);
  resumer_ = std::move(resumer_).resume();
  switched_in();
}

void Fiber::switched_in() {
  finish_switch(saved_by_sanitizer_, &resumer_stack_, &resumer_stack_size_);
}

}  // namespace longshadow::host_cuda
