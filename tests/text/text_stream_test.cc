#include "engine/text/text_stream.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace longshadow {
namespace {

constexpr const char* kReplaced = "\xef\xbf\xbd";  // U+FFFD

std::string shown(std::string_view bytes) {
  TextStream text;
  const std::string first = text.add(bytes);
  return first + text.finish();
}

TEST_CASE("text is shown in whole characters") {
  TextStream text;
  CHECK(text.add("a\xc3") == "a");
  CHECK(text.add("\xa9") == "\xc3\xa9");
  CHECK(text.add("\xf0\x9f") == "");
  CHECK(text.add("\x98") == "");
  CHECK(text.add("\x80 b\xe2\x80") == "\xf0\x9f\x98\x80 b");
  CHECK(text.finish() == kReplaced);
  CHECK(text.finish() == "");
}

// The examples of Unicode 15, section 3.9, tables 3-8 to 3-11; a dot is U+FFFD.
TEST_CASE("bytes that are no UTF-8 are shown as Unicode recommends") {
  const std::pair<std::string, std::string> examples[] = {
      {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "........A"},
      {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "........A"},
      {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", ".....A..B"},
      {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "....A"},
      {"\xf8\x88\x80\x80\x80", "....."},
      {"\xf0\x9f\x98", "."},
      {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xdf\xbf",
       "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xdf\xbf"}};
  for (const auto& [bytes, dotted] : examples) {
    CAPTURE(bytes);
    std::string expected;
    for (const char c : dotted) expected += c == '.' ? std::string(kReplaced) : std::string(1, c);
    CHECK(shown(bytes) == expected);
  }
}

TEST_CASE("what is shown does not depend on how a text is cut") {
  const char bytes[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x82\xff\xf4\x90\xed\xa0\x80\xc3";
  const std::string whole = shown(bytes);
  for (std::size_t length = 1; length < sizeof bytes; ++length) {
    TextStream text;
    std::string parts;
    for (std::size_t i = 0; i + 1 < sizeof bytes; i += length) {
      parts += text.add(std::string_view(bytes).substr(i, length));
    }
    CHECK(parts + text.finish() == whole);
  }
}

}  // namespace
}  // namespace longshadow
