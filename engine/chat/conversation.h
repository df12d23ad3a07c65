#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "engine/chat/chat_template.h"

namespace longshadow {

struct Conversation {
  /// An array of objects with a "role" and a "content", and whatever else a template looks at
  /// (tool_calls, name, reasoning_content, ...).
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools = nullptr;  ///< an array of JSON schemas, or null

  void add(std::string role, std::string content);
  /// Whether its last message is the assistant's, which a model goes on with.
  bool ends_with_assistant() const;
};

/// A JSON file of an array of messages, or of an object with "messages" and, where there are any,
/// "tools". Contents are strings or lists of parts. Throws Error naming `source` and the message
/// that is none.
Conversation parse_conversation(std::span<const std::byte> text, const std::string& source);

/// The conversation's text as apply_chat_template() of transformers 5 makes it: members that are
/// null left out, reasoning under each of its names, and where the assistant speaks last, the text
/// up to the end of what it said (continue_final_message), or else up to its answer's beginning.
/// Throws Error as ChatTemplate::render() does, and for a template that drops what is to be
/// continued.
std::string render_conversation(const ChatTemplate& chat_template, const Conversation& conversation,
                                ChatContext context);

}  // namespace longshadow
