#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/template_syntax.h"

namespace longshadow {

struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
};

/// What a template is told beside the messages.
struct ChatContext {
  std::optional<std::string> bos_token;  ///< spellings; undefined in the template where empty
  std::optional<std::string> eos_token;
  bool add_generation_prompt = true;  ///< ends with the beginning of the assistant's answer
};

/// The template by which a model turns a conversation into text: the part of Jinja that the
/// templates of Llama, Qwen2, SmolLM2 and Mistral use, as transformers 5 runs it, without tools.
/// A template comes with a model, from strangers: one that asks for anything else, or for more than
/// 16 MiB of values and steps, is refused. The clock is never looked at (strftime_now is
/// undefined), so that a prompt is the same tomorrow.
class ChatTemplate {
 public:
  /// `where` names the template in messages. Throws Error as parse_template() does.
  ChatTemplate(std::string_view source, std::string where);

  /// Throws Error naming the line of what is not supported, and where the template itself refuses
  /// the conversation (raise_exception).
  std::string render(std::span<const ChatMessage> messages, const ChatContext& context) const;

 private:
  std::string where_;
  std::vector<Statement> statements_;
};

}  // namespace longshadow
