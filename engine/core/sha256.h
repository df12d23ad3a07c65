#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace longshadow {

/// SHA-256 of the bytes as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace longshadow
