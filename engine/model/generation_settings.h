#pragma once

#include <filesystem>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/io/tokenizer.h"
#include "engine/model/chat_settings.h"

namespace longshadow {

/// What a model's files say about writing text with it.
struct GenerationSettings {
  std::vector<TokenId> end_tokens;  ///< any of them ends a text; empty where none is named
  ChatSettings chat;
};

/// From the keys tokenizer.ggml.{eos,eot,eom}_token_id and what chat_settings() reads. Throws Error
/// for an id without a token.
GenerationSettings generation_settings(const Gguf& gguf, const Tokenizer& tokenizer);

/// From eos_token_id of generation_config.json or else of config.json, and what chat_settings()
/// reads. Throws Error naming the file and the key.
GenerationSettings generation_settings(const std::filesystem::path& folder,
                                       const Tokenizer& tokenizer);

}  // namespace longshadow
