#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "probes/options/chat_prompt.h"

namespace longshadow {

class OptionSet;

/// The text or the conversation that a text goes on from.
struct PromptOptions {
  std::optional<std::string> prompt;
  std::optional<std::string> document;  ///< as read_document() takes it
  std::size_t context = 0;              ///< tokens of the text; 0: all
  bool parse_special = false;
  ChatOptions chat;

  /// Adds --prompt, --document, --context, --parse-special and the options of a conversation.
  void declare(OptionSet& options);

  /// Renders the conversation that is asked for; nothing where none is. Throws UsageError where the
  /// options exclude each other, and as render_chat_prompt() does.
  std::optional<ChatPrompt> read_chat(const Checkpoint& checkpoint) const;

  /// The tokens of the conversation, where there is one, or of a plain text. In a conversation
  /// special tokens are parsed, as in transformers: the template spells them. Throws UsageError
  /// where there is no text, it has fewer tokens than the context, or more than the model reads,
  /// and as read_document() does.
  std::vector<TokenId> read_tokens(const Checkpoint& checkpoint,
                                   const std::optional<ChatPrompt>& conversation) const;

 private:
  SpecialTokens special_tokens() const;
  std::string read_text(const Checkpoint& checkpoint) const;
};

}  // namespace longshadow
