#include "engine/chat/chat_template.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::ordered_json;

const std::filesystem::path kFixtures = LONGSHADOW_FIXTURES "/chat";

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What the fixtures' script told transformers.
ChatContext fixture_context(bool add_generation_prompt = true) {
  ChatContext context;
  context.special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  context.add_generation_prompt = add_generation_prompt;
  return context;
}

ordered_json fixture(const std::string& name) {
  return ordered_json::parse(read_text(kFixtures / name));
}

const ordered_json kGreeting = {{{"role", "user"}, {"content", "Hi"}}};

std::string render(std::string_view source, const ordered_json& messages = kGreeting,
                   const ChatContext& context = {}) {
  return ChatTemplate(source, "chat_template").render(messages, context);
}

TEST_CASE("templates in the style of several models' say what transformers says") {
  const ordered_json conversations = fixture("conversations.json");
  const ordered_json expected = fixture("expected.json");
  REQUIRE(expected.size() == 7);
  for (const auto& [name, by_conversation] : expected.items()) {
    const ChatTemplate chat_template(read_text(kFixtures / (name + ".jinja")), name);
    for (const auto& [conversation, texts] : by_conversation.items()) {
      for (const auto& [prompt, text] : texts.items()) {
        INFO(name << ", " << conversation << ", " << prompt);
        const ChatContext context = fixture_context(prompt == "answer");
        const ordered_json& messages = conversations.at(conversation);
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

TEST_CASE("each construct of Jinja and Python says what transformers says, or is refused with it") {
  const ordered_json messages = {{{"role", "system"}, {"content", " Be brief. "}},
                                 {{"role", "user"}, {"content", "Why?"}},
                                 {{"role", "assistant"}, {"content", "Because <b>."}},
                                 {{"role", "user"}, {"content", "\u00e9?\n"}}};
  const ordered_json expected = fixture("constructs.json");
  std::string rest = read_text(kFixtures / "constructs.txt");
  const std::string divider = "\n----\n";
  for (const ordered_json& text : expected) {
    const std::size_t end = rest.find(divider);
    const std::string source = rest.substr(0, end);
    rest.erase(0, end == std::string::npos ? rest.size() : end + divider.size());
    INFO(source);
    if (text.is_string()) {
      CHECK(render(source, messages, fixture_context()) == text);
    } else {
      CHECK_THROWS_AS(render(source, messages, fixture_context()), Error);
    }
  }
  CHECK(rest.empty());
  CHECK(expected.size() > 80);
}

TEST_CASE("the day is the one that the template is told") {
  ChatContext context;
  context.now.tm_year = 2024 - 1900;
  context.now.tm_mon = 1;
  context.now.tm_mday = 9;
  context.now.tm_wday = 5;
  CHECK(render("{{ strftime_now('%d %b %Y, %A %H:%M:%S.%f%z%%f') }}", kGreeting, context) ==
        "09 Feb 2024, Friday 00:00:00.000000%f");
  CHECK(render("{{ strftime_now is defined }}", kGreeting, context) == "True");
}

TEST_CASE("what a template may not do is named, with its line") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{% include 'x' %}", "'include' is not supported"},
      {"a\n{% autoescape true %}", "line 2: the block 'autoescape' is not supported"},
      {"{{ messages | nothing }}", "there is no filter 'nothing'"},
      {"{{ 'a' | replace('b') }}", "'replace' needs its argument 'new'"},
      {"{{ 'a' | trim(1, 2) }}", "'trim' takes at most 1 arguments, found 2"},
      {"{{ 'a' | indent(wide=1) }}", "'indent' has no argument 'wide'"},
      {"{{ 'a' | indent(1, width=1) }}", "'indent' has its argument 'width' twice"},
      {"{{ messages.shout() }}", "the undefined 'shout' is no function"},
      {"{{ 'a' is strange }}", "there is no test 'strange'"},
      {"\n\n{{ nothing('%d') }}", "line 3: the undefined 'nothing' is no function"},
      {"{{ messages | map('upper') }}", "writing a generator is not supported"},
      {"{{ namespace }}", "writing a function is not supported"},
      {"{% set ns.a = 1 %}", "'ns' is no namespace"},
      {"{{ messages[9].role }}", "undefined has no attribute 'role'"},
      {"{{ messages[0].name.first }}", "the undefined 'name' has no attribute 'first'"},
      {"{{ 'a' + 1 }}", "a string + a number is not possible"},
      {"{{ 9223372036854775807 + 1 }}", "does not fit 64 bits"},
      {"{{ 2 ** 63 }}", "does not fit 64 bits"},
      {"{{ (-9223372036854775807 - 1) // -1 }}", "does not fit 64 bits"},
      {"{{ 9223372036854775808 }}", "at most 64 bits"},
      {"{{ 1 % 0 }}", "division by zero"},
      {"{{ messages.append(1) }}", "would change a list"},
      {"{{ {(1, 2): 3} }}", "a tuple as a key is not supported"},
      {"{% for a, b in [(1, 2, 3)] %}{% endfor %}", "expected 2 values to unpack, found 3"},
      {"{% for a in 1 %}{% endfor %}", "a number has no items"},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "'f' takes at most 1 arguments"},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, a=2) }}", "'f' has its argument 'a' twice"},
      {"{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "'f' has no argument 'b'"},
      {"{% if true %}", "expected '{%', found the template's end"},
      {"{% endif %}", "found 'endif' without its beginning"},
      {"{% for a in messages %}{% endif %}", "expected 'endfor', found 'endif'"},
      {"{{ 'a", "a string does not end"},
      {"{{ '\\x4' }}", "cut short"},
      {"{{ '\\N{DASH}' }}", "\\N"},
      {"{{ a", "a tag does not end"},
      {"{{ a) }}", "found ')' without its beginning"},
      {"{# a", "the comment does not end"},
      {"{% raw %}a", "raw does not end"},
      {"{{ a ? b }}", "unexpected character '?'"},
      {"{{ raise_exception('no\nsystem') }}", "refuses this conversation: 'no\\x0asystem'"},
  };
  for (const auto& [source, message] : cases) {
    INFO(source);
    CHECK_THAT(test::error_of([&, &text = source] { render(text); }),
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
  CHECK(render("{{ '\xf4\xe9'[1] | length }}") == "1");
  CHECK_THAT(test::error_of([] { render("{{ a['\xf4'] }}"); }), Contains("the undefined 'a'"));
}

void check_refused(const std::vector<std::pair<std::string, std::string>>& templates) {
  ordered_json messages = ordered_json::array();
  for (int i = 0; i < 100; ++i) {
    messages.push_back({{"role", "user"}, {"content", std::string(1000, 'x')}});
  }
  for (const auto& [source, message] : templates) {
    INFO(source.substr(0, 60));
    CHECK_THAT(test::error_of([&, &text = source] { render(text, messages); }), Contains(message));
  }
}

TEST_CASE("a template from a stranger cannot use up the stack") {
  const std::string deep = "nested deeper than 100 levels";
  const std::string deep_values = "nest deeper than 100 levels";
  const std::string deep_calls = "nest deeper than 1500 levels";
  check_refused({{"{{ " + repeated("(", 100000) + repeated(")", 100000) + " }}", deep},
                 {"{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}", deep},
                 {"{{ " + repeated("{1:", 100000) + repeated("}", 100000) + " }}", deep},
                 {"{{ " + repeated("not ", 100000) + "1 }}", deep},
                 {"{{ " + repeated("-", 100000) + "1 }}", deep},
                 {"{{ 1" + repeated("+1", 100000) + " }}", deep},
                 {"{{ a" + repeated(".a", 100000) + " }}", deep},
                 {"{{ a" + repeated("|trim", 100000) + " }}", deep},
                 {"{{ a" + repeated("(", 100000) + repeated(")", 100000) + " }}", deep},
                 {"{% set " + repeated("(", 100000) + repeated(")", 100000) + " %}", deep},
                 {repeated("{% if true %}", 60000), deep},
                 {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", deep_calls},
                 {"{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}", deep_calls},
                 {"{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", deep_calls},
                 {"{% set ns = namespace(a=[]) %}{% for a in range(1000) %}{% set ns.a = [ns.a] "
                  "%}{% endfor %}",
                  deep_values},
                 {repeated("a", 1 << 20) + "b", "at most 1048576 bytes"}});
}

TEST_CASE("values that hold themselves are freed with the rest") {
  CHECK(render("{% set ns = namespace() %}{% set ns.self = ns %}{% set ns.f = ns.self %}x") == "x");
}

TEST_CASE("a template from a stranger ends soon, and in bounded memory", "[long]") {
  // Which of the two limits ends it, of steps or of bytes, is no promise.
  const std::string limit = "line 1: the template ";
  const std::string ends = repeated("{% endfor %}", 3);
  check_refused(
      {{"{% set a = 'aaaaaaaa' %}" + repeated("{% set a = a + a %}", 60), limit},
       {"{{ 'a' * 9999999999 }}", limit},
       {"{{ [1] * 9999999999 }}", limit},
       {"{{ 'a'.center(9999999999) }}", limit},
       {"{{ '%999999999d' % 1 }}", "wider than"},
       {"{{ range(10 ** 9) }}", "more than 100000 numbers"},
       {"{% set a = [1,1,1,1,1,1,1,1,1,1] %}" + repeated("{% for i in a %}", 40) + "x" +
            repeated("{% endfor %}", 40),
        limit},
       {"{% set ns = namespace(a=[1]) %}{% for i in range(64) %}{% set ns.a = [ns.a, ns.a] %}"
        "{% endfor %}{{ ns.a | string | length }}",
        limit},
       {"{% set ns = namespace(a=[1]) %}{% for i in range(64) %}{% set ns.a = [ns.a, ns.a] %}"
        "{% endfor %}{{ ns.a == ns.a }}",
        limit},
       {"{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(99) "
        "}}",
        limit},
       {"{% for i in range(99999) %}{% for j in range(99999) %}{{ ('a' * 9999).find('b') }}" +
            repeated("{% endfor %}", 2),
        limit},
       {"{% for m in messages %}{% for n in messages %}{% for o in messages %}{{ m.content }}" +
            ends,
        limit}});
}

}  // namespace
}  // namespace longshadow
