#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>

#include "engine/tokenizer/definition/token.h"

namespace longshadow {

/// The ids of the tokens spelled <0x00> to <0xFF>, by byte; -1 where there is none.
std::array<TokenId, 256> byte_fallback_of(std::span<const std::optional<std::string>> vocabulary);

/// The byte that a token spelled <0x0A> stands for; empty where it is spelled otherwise.
std::optional<unsigned char> byte_spelled_by(std::string_view spelling);

}  // namespace longshadow
