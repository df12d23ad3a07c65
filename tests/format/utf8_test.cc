#include "data/format/utf8.h"

#include <catch2/catch.hpp>
#include <string>

using longshadow::displayable_utf8;
using longshadow::terminal_text;

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
