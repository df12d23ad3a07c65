#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "engine/io/gguf.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// What a model's files say about conversations.
struct ChatSettings {
  /// Jinja sources by name; the one that is meant without tools is "default". Empty where there is
  /// none.
  std::map<std::string, std::string> templates{};
  /// Spellings by the names under which templates know them: bos_token, eos_token, pad_token, ...
  std::map<std::string, std::string> special_tokens{};
};

/// From tokenizer.chat_template and tokenizer.chat_template.NAME, and the ids of
/// tokenizer.ggml.{bos,eos,unknown,seperator,padding,cls,mask}_token_id, where they are tokens'.
ChatSettings chat_settings(const Gguf& gguf, const Tokenizer& tokenizer);

/// From the folder's files as transformers 5 reads them: chat_template.jinja and
/// additional_chat_templates/NAME.jinja, or else chat_template of tokenizer_config.json, one text
/// or several with names; the tokens are those that tokenizer_config.json names, and where it
/// does not list added_tokens_decoder, special_tokens_map.json. Throws Error naming the file and
/// the key.
ChatSettings chat_settings(const std::filesystem::path& folder);

}  // namespace longshadow
