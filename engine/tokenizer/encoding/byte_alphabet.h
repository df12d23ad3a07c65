#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace longshadow {

/// GPT-2's byte alphabet (Radford et al. 2019) writes every byte as one printable character, so
/// that a vocabulary of byte strings can be kept as text: "Ġthe" spells the bytes of " the".

/// The character of `byte`, in UTF-8.
std::string_view spelling_of(std::uint8_t byte);

/// The bytes that `spelling` stands for; empty where it has a character outside the alphabet.
std::optional<std::string> bytes_spelled_by(std::string_view spelling);

}  // namespace longshadow
