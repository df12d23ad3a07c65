#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/io/tokenizer.h"

namespace longshadow {

/// Whether a beginning-of-sequence token goes before the text.
enum class BosPolicy { as_tokenizer_says, yes, no };

/// One text under one tokenizer.
struct Document {
  std::string name;           ///< the file's name without folders
  std::string text;           ///< the file's bytes
  std::string source_sha256;  ///< of the file
  std::vector<Token> tokens;

  std::vector<TokenId> ids(std::size_t count) const;
};

/// Throws Error where the file cannot be read, or a beginning-of-sequence token is asked for and
/// the tokenizer has none.
Document read_document(const std::filesystem::path& path, const Tokenizer& tokenizer,
                       SpecialTokens special, BosPolicy bos);

}  // namespace longshadow
