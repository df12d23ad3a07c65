#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace longshadow {

/// Encodes `bytes` in the alphabet of RFC 4648, section 4, padded with '='.
std::string base64(std::span<const std::byte> bytes);

}  // namespace longshadow
