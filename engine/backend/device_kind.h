#pragma once

namespace longshadow {

/// Kinds of devices that a program can compute on.
enum class DeviceKind { cpu, cuda };

}  // namespace longshadow
