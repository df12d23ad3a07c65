#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/io/tokenizer.h"

namespace longshadow {

/// What a model's files say about writing text with it.
struct GenerationSettings {
  std::vector<TokenId> end_tokens;  ///< any of them ends a text; empty where none is named
  /// Jinja; empty where there is none.
  std::string chat_template;
  std::optional<std::string> bos_token;  ///< spellings, as chat templates write them
  std::optional<std::string> eos_token;
  std::vector<std::string> warnings;  ///< ids that are no token's, which end no text: a line each
};

/// From the keys tokenizer.ggml.{eos,eot,eom}_token_id and tokenizer.chat_template.
GenerationSettings generation_settings(const Gguf& gguf, const Tokenizer& tokenizer);

/// From eos_token_id of generation_config.json or else of config.json; and, where they are there,
/// tokenizer_config.json (of several templates the one named "default") and chat_template.jinja,
/// which goes first. Throws Error naming the file and the key.
GenerationSettings generation_settings(const std::filesystem::path& folder,
                                       const Tokenizer& tokenizer);

}  // namespace longshadow
