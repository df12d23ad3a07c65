#pragma once

#include <boost/program_options.hpp>
#include <optional>
#include <string>

#include "engine/model/chat_settings.h"

namespace longshadow {

/// Adds --chat, --system, --messages, --date and --show-prompt.
void add_chat_options(boost::program_options::options_description& options);

/// Whether the prompt is a conversation: --chat or --messages.
bool is_chat(const boost::program_options::variables_map& values);

/// Throws UsageError for options of a conversation where there is none, or that exclude each other.
void check_chat_options(const boost::program_options::variables_map& values);

/// Throws UsageError for a model without a chat template.
void check_has_template(const ChatSettings& settings);

struct ChatPrompt {
  std::string text;  ///< what the model's template makes of the conversation
  /// Of strftime_now(), YYYY-MM-DD; empty where the template does not ask for it.
  std::optional<std::string> date;
};

/// Renders `said`, what a user says, or with --messages the file's conversation. Throws UsageError
/// for a model without a template or a date that is none, Error for a file or a template that
/// fails.
ChatPrompt render_chat_prompt(const boost::program_options::variables_map& values,
                              const ChatSettings& settings, const std::string& said);

}  // namespace longshadow
