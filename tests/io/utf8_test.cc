#include "engine/io/utf8.h"

#include <catch2/catch.hpp>
#include <string>

namespace longshadow {
namespace {

TEST_CASE("well-formed UTF-8 is told from other bytes") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("a\u00e9\u2028\U0001f642"));
  for (const std::string bytes :
       {"\xff", "\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82"}) {
    CHECK_FALSE(is_utf8(bytes));
  }
}

TEST_CASE("well-formed UTF-8 is counted up to the first other byte") {
  const std::string ascii(100, 'a');
  CHECK(utf8_prefix(ascii) == 100);
  for (std::size_t at = 0; at < 20; ++at) {  // at every place of the eight bytes that pass at once
    CHECK(utf8_prefix(ascii.substr(0, at) + "\xe9" + ascii) == at);
    CHECK(utf8_prefix(ascii.substr(0, at) + "\u00e9" + ascii) == at + 102);
    CHECK(utf8_prefix(ascii.substr(0, at) + "\u20ac") == at + 3);
  }
}

TEST_CASE("a character that its text's end cuts off is told from bytes that begin none") {
  const std::string characters[] = {"a",      "\u00e9",     "\u0800",     "\u20ac",
                                    "\ufffd", "\U00010000", "\U0001f642", "\U0010ffff"};
  for (const std::string& character : characters) {
    for (std::size_t length = 1; length <= character.size(); ++length) {
      const std::size_t incomplete = length == character.size() ? 0 : length;
      CHECK(incomplete_bytes("a" + character.substr(0, length)) == incomplete);
    }
  }
  for (const std::string bytes :
       {"", "\x80", "\xc0", "\xc1", "\xf5", "\xff", "\xe0\x80", "\xed\xa0", "\xf0\x80", "\xf4\x90",
        "\xe2\x82\xac\x80", "\xf0\x9f\x41"}) {
    CHECK(incomplete_bytes(bytes) == 0);
  }
}

TEST_CASE("what a terminal would obey is spelled out") {
  const auto printed = [](const std::string& text) { return printable(text, 1000); };
  CHECK(printed("a\u00e9\u05e9\U0001f642 'b'") == "a\u00e9\u05e9\U0001f642 'b'");
  CHECK(printed("\x1b[2J\r\n\t\x7f") == R"(\x1b[2J\x0d\x0a\x09\x7f)");
  CHECK(printed(std::string(1, '\0')) == R"(\x00)");
  CHECK(printed("\u009b2J") == R"(\xc2\x9b2J)");  // the same as ESC [ to some terminals
  CHECK(printed("\u2028\u2029") == R"(\xe2\x80\xa8\xe2\x80\xa9)");
  CHECK(printed("\u202egp.exe") ==
        R"(\xe2\x80\xaegp.exe)");  // shows what follows from right to left
  CHECK(printed("\xff\xc3") == R"(\xff\xc3)");
}

TEST_CASE("a long text is cut between characters") {
  CHECK(printable("abcdef", 3) == "abc...");
  CHECK(printable("\u00e9\u00e9\u00e9", 3) == "\u00e9\u00e9...");
  CHECK(printable("abcd", 4) == "abcd");
  CHECK(quote("it's") == "'it's'");
  CHECK(quote(std::string(1000, 'x')).size() < 200);
}

}  // namespace
}  // namespace longshadow
