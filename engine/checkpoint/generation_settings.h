#pragma once

#include <filesystem>
#include <vector>

#include "engine/checkpoint/chat_settings.h"
#include "engine/io/gguf.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// A setting of a model's files that changes what other programs write with it.
struct WritingSetting {
  std::string key;
  std::string value;          ///< as JSON writes it
  bool sampling_only = true;  ///< without effect where the likeliest token is always taken
};

/// What a model's files say about writing text with it.
struct GenerationSettings {
  std::vector<TokenId> end_tokens;    ///< any of them ends a text; empty where none is named
  std::vector<std::string> warnings;  ///< ids that are no token's, which end no text: a line each
  ChatSettings chat;

  std::string source;  ///< the file that the rest comes from
  /// As penalize_repetition() takes it; NaN where the file has no number.
  std::optional<double> repetition_penalty;
  bool samples = false;  ///< whether tokens are to be drawn at random
  /// What else would change the text, and is left to the command line or not known here.
  std::vector<WritingSetting> unapplied;
};

/// From the keys tokenizer.ggml.*_token_id and the spellings of end tokens as end_tokens() says,
/// general.sampling.*, and what chat_settings() reads. Throws Error naming the key.
GenerationSettings generation_settings(const Gguf& gguf, const Tokenizer& tokenizer);

/// From generation_config.json, or config.json where there is none or, of eos_token_id, none in it;
/// and what chat_settings() reads. Throws Error naming the file and the key.
GenerationSettings generation_settings(const std::filesystem::path& folder,
                                       const Tokenizer& tokenizer);

}  // namespace longshadow
