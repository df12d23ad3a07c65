#pragma once

#include <string_view>
#include <vector>

#include "engine/tokenizer/definition/tokenizer_definition.h"

namespace longshadow {

/// What the value of a GGUF file's tokenizer.ggml.pre says of its tokenizer.
struct NamedPretokenizer {
  std::vector<PretokenizerStep> steps;
  bool ignores_merges = false;
  bool adds_bos = false;  ///< where the file itself does not say
};

/// What a file without the key has, as in llama.cpp.
inline constexpr std::string_view kDefaultPretokenizer = "default";

/// The pre-tokenizer of that name, with llama.cpp's meaning (llama-vocab.cpp): ids equal its own.
/// Throws Error beginning with `where` and naming the nearest names where there is none, or one
/// that works on text instead of bytes.
NamedPretokenizer gguf_pretokenizer(std::string_view name, const std::string& where);

/// Every name that gguf_pretokenizer() knows.
std::vector<std::string_view> gguf_pretokenizer_names();

}  // namespace longshadow
