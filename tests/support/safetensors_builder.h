#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longshadow::test {

/// A safetensors file with this header, whatever it says, and `data_bytes` bytes 0, 1, 2... of
/// data.
inline std::vector<std::byte> safetensors_file(std::string_view header, std::size_t data_bytes) {
  std::vector<std::byte> file;
  for (unsigned shift = 0; shift < 64; shift += 8) {
    file.push_back(static_cast<std::byte>(std::uint64_t{header.size()} >> shift));
  }
  for (const char c : header) file.push_back(static_cast<std::byte>(c));
  for (std::size_t i = 0; i < data_bytes; ++i) file.push_back(static_cast<std::byte>(i));
  return file;
}

/// A header's entry of one tensor; `shape` as JSON.
inline std::string safetensors_entry(const std::string& name, const std::string& dtype,
                                     const std::string& shape, std::size_t begin, std::size_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

}  // namespace longshadow::test
