#include "engine/chat/conversation.h"

#include <array>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/jinja/values/strings.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

using nlohmann::ordered_json;

/// Names that a message's reasoning goes by; templates read the first, gpt-oss's the second.
constexpr std::array<const char*, 3> kReasoning{"reasoning_content", "thinking", "reasoning"};

/// What marks the place where a text is to go on; transformers' own words, as a template may look
/// at them.
constexpr std::string_view kMark = "CONTINUE_FINAL_MESSAGE_TAG";

void check_message(const ordered_json& message, const std::string& where) {
  if (!message.is_object()) {
    throw Error(where + ": expected an object with a role and a content, found " +
                message.type_name());
  }
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string()) {
    throw Error(where + ": expected a 'role' such as \"user\"");
  }
  const auto content = message.find("content");
  if (content != message.end() && !content->is_string() && !content->is_array() &&
      !content->is_null()) {
    throw Error(where + ": 'content': expected a string or a list of parts, found " +
                content->type_name());
  }
}

void check_keys(const ordered_json& root, const std::string& source) {
  for (const auto& [key, value] : root.items()) {
    if (key != "messages" && key != "tools") {
      throw Error(source + ": expected 'messages' and 'tools' alone, found " + quote(key));
    }
    if (!value.is_array() && !(key == "tools" && value.is_null())) {
      throw Error(source + ": " + quote(key) + ": expected an array, found " + value.type_name());
    }
  }
}

/// The message without members that are null, and with its reasoning under the names that
/// templates read.
ordered_json plain_message(const ordered_json& message) {
  const auto given = [&](const char* name) {
    const auto member = message.find(name);
    return member == message.end() || member->is_null() ? nullptr : &*member;
  };
  const ordered_json* reasoning = nullptr;
  for (const char* name : kReasoning) {
    if (reasoning == nullptr) reasoning = given(name);
  }
  ordered_json::object_t plain;
  const auto add = [&](const std::string& key, const ordered_json& value) {
    plain.emplace_back(key, value);
  };
  const ordered_json* thinking = given("thinking");
  if (reasoning != nullptr) add("thinking", thinking == nullptr ? *reasoning : *thinking);
  for (const auto& [key, value] : message.items()) {
    const bool is_there = reasoning != nullptr && key == "thinking";
    if (!value.is_null() && !is_there) add(key, value);
  }
  if (reasoning != nullptr && !given("reasoning_content")) add("reasoning_content", *reasoning);
  return plain;
}

/// The text that is to go on, in the last message: its content or the last part that has one.
std::string& text_to_continue(ordered_json& message, const std::string& advice) {
  const auto content = message.find("content");
  if (content != message.end() && content->is_string()) {
    return content->get_ref<std::string&>();
  }
  if (content != message.end() && content->is_array()) {
    for (auto part = content->rbegin(); part != content->rend(); ++part) {
      const bool has_text =
          part->is_object() && part->contains("text") && (*part)["text"].is_string();
      if (has_text) return (*part)["text"].get_ref<std::string&>();
    }
  }
  throw Error("the assistant's last message has no text to go on from" + advice);
}

std::string stripped(const std::string& text) {
  jinja::Heap heap(text.size());
  return jinja::stripped(heap, text, jinja::Side::both);
}

}  // namespace

void Conversation::add(std::string role, std::string content) {
  messages.push_back({{"role", std::move(role)}, {"content", std::move(content)}});
}

bool Conversation::ends_with_assistant() const {
  return !messages.empty() && messages.back().at("role") == "assistant";
}

Conversation parse_conversation(std::span<const std::byte> text, const std::string& source) {
  ordered_json root = parse_ordered_json(text, source);
  Conversation conversation;
  if (root.is_object()) {
    check_keys(root, source);
    if (!root.contains("messages")) throw Error(source + ": 'messages' is missing");
    if (root.contains("tools")) conversation.tools = std::move(root["tools"]);
    root = ordered_json(std::move(root["messages"]));
  }
  if (!root.is_array() || root.empty()) {
    throw Error(
        source + ": expected an array of messages" +
        (root.is_array() ? ", found none in it" : ", found " + std::string(root.type_name())));
  }
  for (std::size_t i = 0; i < root.size(); ++i) {
    check_message(root[i], source + ": message " + std::to_string(i + 1));
  }
  conversation.messages = std::move(root);
  return conversation;
}

std::string render_conversation(const ChatTemplate& chat_template, const Conversation& conversation,
                                ChatContext context) {
  ordered_json messages = ordered_json::array();
  for (const ordered_json& message : conversation.messages) {
    messages.push_back(plain_message(message));
  }
  context.add_generation_prompt = !conversation.ends_with_assistant();
  if (context.add_generation_prompt) {
    return chat_template.render(messages, context, conversation.tools);
  }

  const std::string advice = "; leave it out, and the model answers";
  std::string& last = text_to_continue(messages.back(), advice);
  const std::string to_continue = last;
  last += std::string(kMark) + " ";
  std::string text = chat_template.render(messages, context, conversation.tools);
  const std::size_t mark = text.rfind(kMark);
  if (mark == std::string::npos || text.find(stripped(to_continue)) == std::string::npos) {
    throw Error("the chat template drops the assistant's last message" + advice);
  }
  const bool keeps_space = text.compare(mark + kMark.size(), 1, " ") == 0;
  text.resize(mark);
  if (keeps_space) return text;
  jinja::Heap heap(text.size());
  return jinja::stripped(heap, text, jinja::Side::right);
}

}  // namespace longshadow
