#pragma once

#include <cstddef>
#include <memory_resource>
#include <string>

#include "engine/backend/device_kind.h"

namespace longshadow {

/// The device that operations run on: a Cpu or a Cuda. Calls may return before it is done; those
/// that bring something to the host wait for it.
class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  /// "cpu", or what its maker calls it.
  virtual std::string name() const = 0;
  /// Names what decides the bits of its results beside the program; for the processor nothing, as
  /// they are the same on every one.
  virtual std::string arithmetic() const { return {}; }
  /// The size of a memory of its own, which plans must fit; 0: it has none.
  virtual std::size_t total_bytes() const { return 0; }

  /// Memory for matrices: zeroed. Throws Error where it is used up.
  virtual std::pmr::memory_resource* memory() = 0;
  /// The host's bytes may change as soon as the call returns.
  virtual void copy_to_device(const void* host, void* there, std::size_t bytes) = 0;
  /// Waits until the bytes are there.
  virtual void copy_to_host(const void* there, void* host, std::size_t bytes) = 0;
  /// Waits until the device is done. Throws Error for what failed on it.
  virtual void synchronize() = 0;
};

/// The host's memory for matrices, which is the processor's: aligned to a cache line and zeroed.
std::pmr::memory_resource* host_memory();

}  // namespace longshadow
