#include "engine/text/utf8.h"

#include <utf8proc.h>

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

TEST_CASE("a text begins with a character or with bytes that none has") {
  CHECK(utf8_beginning("\u20ac!").code_point == U'\u20ac');
  CHECK(utf8_beginning("\U0001f642").code_point == U'\U0001f642');
  CHECK(utf8_beginning("\u20ac!").length == 3);
  CHECK(utf8_beginning("").length == 0);
  const Utf8Beginning cut_off = utf8_beginning("\xf0\x9f\x99");
  CHECK((cut_off.length == 3 && cut_off.needs_more && !cut_off.is_character));
  const Utf8Beginning broken = utf8_beginning("\xf0\x9f!");
  CHECK((broken.length == 2 && !broken.needs_more && !broken.is_character));
}

// utf8proc's decoder, which shares no code with ours, on every pair of bytes and the pairs' edges.
TEST_CASE("characters are those that utf8proc decodes") {
  const std::string tails[] = {"", "\x80", "\xbf", "\x80\x80", "\xbf\xbf", "\x80!", "\xc2\x80"};
  for (int pair = 0; pair < 0x10000; ++pair) {
    for (const std::string& tail : tails) {
      const std::string text =
          std::string{static_cast<char>(pair >> 8), static_cast<char>(pair & 0xff)} + tail;
      utf8proc_int32_t expected = -1;
      const utf8proc_ssize_t length =
          utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                           static_cast<utf8proc_ssize_t>(text.size()), &expected);
      const Utf8Beginning found = utf8_beginning(text);
      if (found.is_character != (length > 0)) FAIL("bytes " << printable(text, 100));
      if (length <= 0) continue;
      if (found.length != static_cast<std::size_t>(length) ||
          found.code_point != static_cast<char32_t>(expected)) {
        FAIL("bytes " << printable(text, 100));
      }
    }
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

TEST_CASE("well-formed text is left as it is") {
  const std::string text = "a\tb\r\n \u00e9 \u4e2d \U0001F600 \U0010FFFF";
  CHECK(displayable_utf8(text) == text);
}

TEST_CASE("every byte that is not part of a character becomes the replacement character") {
  CHECK(displayable_utf8("a\x80z") == "a\uFFFDz");                            // continuation alone
  CHECK(displayable_utf8("\xe4\xb8") == "\uFFFD\uFFFD");                      // cut at the end
  CHECK(displayable_utf8("\xe4\xb8z") == "\uFFFD\uFFFDz");                    // cut inside
  CHECK(displayable_utf8("\xc0\xaf") == "\uFFFD\uFFFD");                      // overlong '/'
  CHECK(displayable_utf8("\xe0\x9f\xbf") == "\uFFFD\uFFFD\uFFFD");            // overlong U+07FF
  CHECK(displayable_utf8("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");            // surrogate U+D800
  CHECK(displayable_utf8("\xf4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
  CHECK(displayable_utf8("\xff") == "\uFFFD");
}

TEST_CASE("NUL, which would end a padded string, becomes its symbol") {
  CHECK(displayable_utf8(std::string("a\0", 2)) == "a\u2400");
}

TEST_CASE("a terminal is given nothing to obey") {
  const std::string text = "a b\n \u00e9 \u05e9 \u0661 \u4e2d \U0001F600\n";
  CHECK(terminal_text(text) == text);
  CHECK(terminal_text("\x1b[2J\r\t\x7f") == "\uFFFD[2J\uFFFD\uFFFD\uFFFD");
  CHECK(terminal_text("\u0080\u009b2J\u00a0") == "\uFFFD\uFFFD2J\u00a0");
  CHECK(terminal_text("\u061c\u200f\u202e\u2066\u2028") == "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  CHECK(terminal_text(std::string("\0\xff\xc3", 3)) == "\uFFFD\uFFFD\uFFFD");
}

}  // namespace
}  // namespace longshadow
