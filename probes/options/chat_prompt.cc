#include "probes/options/chat_prompt.h"

#include <cstdio>
#include <ctime>
#include <utility>

#include "engine/chat/chat_template.h"
#include "engine/chat/conversation.h"
#include "engine/core/error.h"
#include "engine/io/mapped_file.h"
#include "engine/text/utf8.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

/// Midnight of a day written YYYY-MM-DD.
std::tm parse_date(const std::string& text) {
  int year = 0;
  int month = 0;
  int day = 0;
  int read = 0;
  const bool is_shaped =
      text.size() == 10 &&
      std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &year, &month, &day, &read) == 3 && read == 10;
  std::tm date{};
  date.tm_year = year - 1900;
  date.tm_mon = month - 1;
  date.tm_mday = day;
  std::tm normal = date;
  // The 31st of February is moved into March: what moves is no day.
  if (!is_shaped || year < 1 || timegm(&normal) == -1 || normal.tm_mday != day ||
      normal.tm_mon != month - 1) {
    throw UsageError("--date: expected a day as YYYY-MM-DD, found " + quote(text));
  }
  return normal;
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

std::string date_text(const std::tm& date) {
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &date)};
}

Conversation read_conversation(const ChatOptions& options, const std::string& said) {
  Conversation conversation;
  if (options.messages) {
    const MappedFile file(*options.messages);
    conversation = parse_conversation(file.bytes(), *options.messages);
  } else {
    conversation.add("user", said);
  }
  if (!options.system) return conversation;
  if (conversation.messages[0].at("role") == "system") {
    throw UsageError("--system: the file of --messages begins with a system message already");
  }
  Conversation with_system;
  with_system.add("system", *options.system);
  for (auto& message : conversation.messages) {
    with_system.messages.push_back(std::move(message));
  }
  with_system.tools = std::move(conversation.tools);
  return with_system;
}

/// The template that transformers would choose.
const std::string& choose_template(const ChatSettings& settings, bool has_tools) {
  check_has_template(settings);
  const auto with_tools = settings.templates.find("tool_use");
  if (has_tools && with_tools != settings.templates.end()) return with_tools->second;
  const auto found = settings.templates.find("default");
  if (found == settings.templates.end()) {
    throw UsageError("--chat: this model has several chat templates and none is named 'default'");
  }
  return found->second;
}

}  // namespace

void ChatOptions::declare(OptionSet& options) {
  const Condition for_chats{[this] { return asks_for_chat(); }, "is for --chat; add it"};
  options.add("chat", flag(is_chat),
              "the text is what a user says, put into the model's chat template");
  options.add("messages", value(messages),
              "instead of --chat: a JSON file of a conversation, [{\"role\": ..., \"content\": "
              "...}, ...] or {\"messages\": ..., \"tools\": ...}; if the assistant speaks last, it "
              "goes on");
  options.add("system", value(system), "with --chat or --messages: what the system says before it")
      .only(for_chats);
  options
      .add("date", value(date),
           "with --chat or --messages: the day, YYYY-MM-DD, of a template that asks for today's")
      .only(for_chats);
  options
      .add("show-prompt", flag(shows_prompt),
           "with --chat or --messages: write the prompt's text instead of going on from it")
      .only(for_chats);
}

void check_has_template(const ChatSettings& settings) {
  if (!settings.templates.empty()) return;
  throw UsageError("--chat: this model has no chat template; leave it out");
}

ChatPrompt render_chat_prompt(const ChatOptions& options, const ChatSettings& settings,
                              const std::string& said) {
  const Conversation conversation = read_conversation(options, said);
  const std::string& source = choose_template(settings, !conversation.tools.is_null());
  const ChatTemplate chat_template(source, "the model's chat template");
  ChatContext context;
  context.special_tokens = settings.special_tokens;
  context.now = options.date ? parse_date(*options.date) : local_time();
  ChatPrompt prompt{render_conversation(chat_template, conversation, context), std::nullopt};
  if (source.find("strftime_now") != std::string::npos) prompt.date = date_text(context.now);
  return prompt;
}

}  // namespace longshadow
