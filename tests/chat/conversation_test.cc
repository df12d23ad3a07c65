#include "engine/chat/conversation.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::ordered_json;

Conversation parse(const std::string& text) {
  return parse_conversation(bytes_of(text), "chat.json");
}

ordered_json fixture(const std::string& name) {
  std::ifstream file(LONGSHADOW_FIXTURES "/chat/" + name);
  REQUIRE(file);
  return ordered_json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

TEST_CASE("whole conversations are the texts of transformers' apply_chat_template") {
  const ordered_json cases = fixture("whole.json");
  const ordered_json expected = fixture("whole_expected.json");
  REQUIRE(cases.size() == expected.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    ordered_json file = cases[i];
    file.erase("template");
    INFO(file.dump());
    const auto text = [&] {
      ChatContext context;
      context.special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
      return render_conversation(ChatTemplate(cases[i]["template"].get<std::string>(), "template"),
                                 parse(file.dump()), context);
    };
    if (expected[i].is_string()) {
      CHECK(text() == expected[i]);
    } else {
      CHECK_THAT(test::error_of(text),
                 Contains("the assistant's last message") || Contains("the chat template drops"));
    }
  }
}

TEST_CASE("a file of messages is a list of them, or names them") {
  CHECK(parse(R"([{"role": "user", "content": "Hi"}])").messages.size() == 1);
  CHECK(parse(R"({"messages": [{"role": "user"}], "tools": null})").tools.is_null());
  const Conversation whole =
      parse(R"({"tools": [{"z": 1, "a": 2}], "messages": [{"role": "assistant", "content": []}]})");
  CHECK(whole.tools.dump() == R"([{"z":1,"a":2}])");
  CHECK(whole.ends_with_assistant());
}

TEST_CASE("a file that is no conversation is refused in one line") {
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "[";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "not valid JSON"},
      {"[", "not valid JSON"},
      {"7", "expected an array of messages, found number"},
      {"[]", "found none in it"},
      {"{}", "'messages' is missing"},
      {R"({"messages": {}})", "'messages': expected an array, found object"},
      {R"({"messages": [], "tools": {}})", "'tools': expected an array, found object"},
      {R"({"messages": [], "model": "x"})", "'messages' and 'tools' alone, found 'model'"},
      {R"(["Hi"])", "message 1: expected an object"},
      {R"([{"role": "user"}, {"content": "Hi"}])", "message 2: expected a 'role'"},
      {R"([{"role": 1}])", "message 1: expected a 'role'"},
      {R"([{"role": "user", "content": 1}])", "message 1: 'content': expected a string"},
      {R"([{"role": "user", "role": "user"}])", "'role' is repeated"},
      {deep, "nested deeper than 64"},
      {"[\"\xff\"]", "not valid JSON"},
  };
  for (const auto& [text, message] : cases) {
    INFO(text);
    CHECK_THAT(test::error_of([&, &given = text] { parse(given); }),
               Contains(message) && Contains("chat.json"));
  }
}

}  // namespace
}  // namespace longshadow
