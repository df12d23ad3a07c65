#pragma once

#include "engine/backend/device_kind.h"

namespace longshadow {

/// What operations run on: a Cpu or a Cuda.
class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
};

}  // namespace longshadow
