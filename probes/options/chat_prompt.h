#pragma once

#include <optional>
#include <string>

#include "engine/checkpoint/chat_settings.h"

namespace longshadow {

class OptionSet;

/// A conversation that a text goes on from.
struct ChatOptions {
  bool is_chat = false;                 ///< what the user says goes through the model's template
  std::optional<std::string> messages;  ///< a file of the whole conversation
  std::optional<std::string> system;    ///< what the system says before it
  std::optional<std::string> date;      ///< the day of a template that asks for it, YYYY-MM-DD
  bool shows_prompt = false;            ///< the prompt's text is all that is asked for

  /// Adds --chat, --messages, --system, --date and --show-prompt, the last three for a
  /// conversation alone.
  void declare(OptionSet& options);

  /// Whether the prompt is a conversation.
  bool asks_for_chat() const { return is_chat || messages.has_value(); }
};

/// Throws UsageError for a model without a chat template.
void check_has_template(const ChatSettings& settings);

struct ChatPrompt {
  std::string text;  ///< what the model's template makes of the conversation
  /// The day that strftime_now() tells, YYYY-MM-DD; empty where the template asks for none.
  std::optional<std::string> date;
};

/// Renders `said`, what a user says, or the conversation of a file. Throws UsageError
/// for a model without a template or a date that is none, Error for a file or a template that
/// fails.
ChatPrompt render_chat_prompt(const ChatOptions& options, const ChatSettings& settings,
                              const std::string& said);

}  // namespace longshadow
