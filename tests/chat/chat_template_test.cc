#include "engine/chat/chat_template.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::json;

const std::filesystem::path kFixtures = LONGSHADOW_FIXTURES "/chat";

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<ChatMessage> messages_of(const json& conversation) {
  std::vector<ChatMessage> messages;
  for (const json& message : conversation) {
    messages.push_back({message.at("role"), message.at("content")});
  }
  return messages;
}

std::string render(std::string_view source, const std::vector<ChatMessage>& messages = {}) {
  return ChatTemplate(source, "chat_template").render(messages, {});
}

TEST_CASE("templates in the style of several models' say what transformers says") {
  const json conversations = json::parse(read_text(kFixtures / "conversations.json"));
  const json expected = json::parse(read_text(kFixtures / "expected.json"));
  REQUIRE(expected.size() == 7);
  for (const auto& [name, by_conversation] : expected.items()) {
    const ChatTemplate chat_template(read_text(kFixtures / (name + ".jinja")), name);
    for (const auto& [conversation, texts] : by_conversation.items()) {
      for (const auto& [prompt, text] : texts.items()) {
        INFO(name << ", " << conversation << ", " << prompt);
        const ChatContext context{"<s>", "</s>", prompt == "answer"};
        const auto messages = messages_of(conversations.at(conversation));
        if (text.is_string()) {
          CHECK(chat_template.render(messages, context) == text);
        } else {
          CHECK_THAT(test::error_of([&] { chat_template.render(messages, context); }),
                     Contains(text.at("error").get<std::string>()));
        }
      }
    }
  }
}

TEST_CASE("what a template may not do is named, with its line") {
  const std::vector<ChatMessage> messages{{"user", "Hi"}};
  const std::vector<std::pair<std::string, std::string>> cases{
      {"a\n{% macro f() %}{% endmacro %}", "line 2: the block 'macro' is not supported"},
      {"{% include 'x' %}", "'include'"},
      {"{{ messages | map('role') }}", "the filter 'map' with 1 arguments is not supported"},
      {"{{ 'a' | tojson(indent=4) }}", "'tojson' with the argument 'indent'"},
      {"{{ messages[0].content.upper() }}", "the method 'upper'"},
      {"{{ 'a' is even }}", "the test 'even'"},
      {"\n\n{{ strftime_now('%d') }}", "line 3: the function 'strftime_now'"},
      {"{{ messages }}", "writing a list"},
      {"{{ [messages] }}", "a list in a list"},
      {"{% set ns = namespace(a=messages) %}", "a list in a namespace"},
      {"{% set ns.a = 1 %}", "'ns' is no namespace"},
      {"{{ messages[::-1] }}", "expected ']' (a slice's step is not supported), found ':'"},
      {"{{ messages[9].role }}", "the item \"role\" of what is undefined"},
      {"{{ 'a' + 1 }}", "a string + a number"},
      {"{{ 9223372036854775807 + 1 }}", "64 bits"},
      {"{{ 9223372036854775808 }}", "64 bits"},
      {"{{ 1 % 0 }}", "found 0"},
      {"{{ 1 < 2 < 3 }}", "a chain of comparisons"},
      {"{{ 1.5 }}", "expected an attribute's name, found '5'"},
      {"{{ {'a': 1} }}", "expected a value, found '{'"},
      {"{% for a, b in messages %}{% endfor %}", "one loop variable"},
      {"{% for a in messages if a %}{% endfor %}", "a loop's condition"},
      {"{% for a in 'abc' %}{% endfor %}", "a loop over a string"},
      {"{% set a %}x{% endset %}", "a block of set is not supported"},
      {"{% if true %}", "expected '{%', found the template's end"},
      {"{% endif %}", "found 'endif' without its beginning"},
      {"{% for a in messages %}{% endif %}", "expected 'endfor', found 'endif'"},
      {"{{ 'a", "a string does not end"},
      {"{{ '\\x41' }}", "an escape other than"},
      {"{{ a", "a tag does not end"},
      {"{# a", "the comment does not end"},
      {"{{ a ? b }}", "unexpected character '?'"},
      {"{{ raise_exception('no\nsystem') }}", "refuses this conversation: 'no\\x0asystem'"},
  };
  for (const auto& [source, message] : cases) {
    INFO(source);
    CHECK_THAT(test::error_of([&] { render(source, messages); }),
               Contains(message) && Contains("chat_template: line "));
  }
}

std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST_CASE("bytes that are not UTF-8 are replaced in JSON, and end no error in another") {
  CHECK(render("{{ '\xf4' | tojson }}") == "\"\xef\xbf\xbd\"");
  CHECK_THAT(test::error_of([] { render("{{ a['\xf4'] }}"); }), Contains("of what is undefined"));
}

void check_refused(const std::vector<std::pair<std::string, std::string>>& templates) {
  const std::vector<ChatMessage> messages(100, {"user", std::string(1000, 'x')});
  for (const auto& [source, message] : templates) {
    INFO(source.substr(0, 60));
    CHECK_THAT(test::error_of([&] { render(source, messages); }), Contains(message));
  }
}

TEST_CASE("a template from a stranger cannot use up the stack") {
  const std::string deep = "nested deeper than 100 levels";
  check_refused({{"{{ " + repeated("(", 100000) + " }}", deep},
                 {"{{ " + repeated("[", 100000) + " }}", deep},
                 {"{{ " + repeated("not ", 100000) + "1 }}", deep},
                 {"{{ " + repeated("-", 100000) + "1 }}", deep},
                 {"{{ 1" + repeated("+1", 100000) + " }}", deep},
                 {"{{ a" + repeated(".a", 100000) + " }}", deep},
                 {"{{ a" + repeated("|trim", 100000) + " }}", deep},
                 {repeated("{% if true %}", 60000), deep},
                 {repeated("a", 1 << 20) + "b", "at most 1048576 bytes"}});
}

TEST_CASE("a template from a stranger ends soon, and in bounded memory", "[long]") {
  const std::string work = "more than 16777216 steps of work";
  const std::string ends = repeated("{% endfor %}", 3);
  check_refused(
      {{"{% set a = 'aaaaaaaa' %}" + repeated("{% set a = a + a %}", 60), work},
       {"{% set a = [1,1,1,1,1,1,1,1,1,1] %}" + repeated("{% for i in a %}", 40) + "x" +
            repeated("{% endfor %}", 40),
        work},
       {"{% for m in messages %}{% for n in messages %}{% for o in messages %}{{ m.content }}" +
            ends,
        work}});
}

}  // namespace
}  // namespace longshadow
