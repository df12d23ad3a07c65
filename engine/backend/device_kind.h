#pragma once

namespace longshadow {

/// What a program can compute on.
enum class DeviceKind { cpu, cuda };

}  // namespace longshadow
