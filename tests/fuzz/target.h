#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

namespace longshadow::fuzz {

/// What libFuzzer hands to a target.
inline std::span<const std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Runs `parse` on bytes from a stranger: an Error of type E is an answer, anything else that is
/// thrown ends the process.
template <class E, class Parse>
void answers(Parse&& parse) {
  try {
    parse();
  } catch (const E&) {
  }
}

/// Ends the process where a parser's answer breaks its own contract.
inline void require(bool contract) {
  if (!contract) std::abort();
}

/// Splits an input into two at its first NUL, which neither JSON nor a tag file holds.
struct Halves {
  std::string_view first;
  std::string_view second;
};
inline Halves halves_of(std::string_view text) {
  const std::size_t cut = text.find('\0');
  if (cut == std::string_view::npos) return {text, {}};
  return {text.substr(0, cut), text.substr(cut + 1)};
}

}  // namespace longshadow::fuzz
