#pragma once

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstddef>
#include <memory_resource>
#include <string>

#include "engine/backend/device.h"
#include "engine/backend/parallel_for.h"

namespace longshadow {

/// The processor as a device. Every op splits its work into tiles whose shapes depend on the
/// problem alone and whose arithmetic one thread does from start to end, so that a result has the
/// same bits for any number of threads.
class Cpu final : public Device {
 public:
  /// `threads` 0 means one per core that this process may use. While several exist, none uses more
  /// threads than the one with the fewest. Throws UsageError for more than 1024.
  explicit Cpu(std::size_t threads = 0);

  DeviceKind kind() const override { return DeviceKind::cpu; }
  std::string name() const override { return "cpu"; }
  std::size_t threads() const { return static_cast<std::size_t>(arena_.max_concurrency()); }

  std::pmr::memory_resource* memory() override { return host_memory(); }
  void copy_to_device(const void* host, void* there, std::size_t bytes) override;
  void copy_to_host(const void* there, void* host, std::size_t bytes) override;
  /// Returns at once: what the processor is asked for is done when the call returns.
  void synchronize() override {}

  /// parallel_for() on all threads of this device.
  template <class Body>
  void parallel_for(std::size_t count, const Body& body) {
    arena_.execute([&] { longshadow::parallel_for(count, body); });
  }

 private:
  tbb::global_control limit_;  ///< TBB's own limit is the number of cores
  tbb::task_arena arena_;
};

/// The device as the processor that it is.
inline Cpu& cpu_of(Device& device) { return static_cast<Cpu&>(device); }

}  // namespace longshadow
