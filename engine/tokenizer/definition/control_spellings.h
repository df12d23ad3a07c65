#pragma once

#include <span>
#include <string_view>

namespace longshadow {

/// Spellings with which the chat formats that llama.cpp knows end a turn or a text
/// (llama-vocab.cpp, "EOG"). Tokens of these spellings are control tokens, whatever type a GGUF
/// file gives them.
std::span<const std::string_view> end_spellings();

/// A mark of code models that fill in a text's middle, or go on with another file.
struct MiddleMark {
  std::string_view key;  ///< a GGUF file's key of the token
  std::span<const std::string_view> spellings;
  bool ends_text;  ///< what follows is padding, or of another repository or file
};

/// Without the key, tokens of these spellings are control tokens, whatever their type.
std::span<const MiddleMark> middle_marks();

}  // namespace longshadow
