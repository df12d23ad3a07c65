#pragma once

#include <cstddef>
#include <cstdint>

namespace longshadow {

using TokenId = std::int32_t;

inline constexpr TokenId kNoToken = -1;

/// One token of an encoded text and the bytes [begin, end) of the text that it stands for. A token
/// that stands for no byte (a beginning-of-sequence token) has begin == end.
struct Token {
  TokenId id;
  std::size_t begin;
  std::size_t end;
};

enum class SpecialTokens {
  as_text,  ///< "<|im_end|>" in a document is eleven characters: a document is data
  parse,    ///< the spelling of a special token is that token
};

}  // namespace longshadow
