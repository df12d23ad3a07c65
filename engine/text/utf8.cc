#include "engine/text/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace longshadow {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

/// Table 3-7's row of a character's first byte: the character's length, 0 where none begins so, and
/// what its second byte lies between.
struct FirstByte {
  std::size_t length;
  unsigned char low = 0x80, high = 0xbf;
};

FirstByte row_of(unsigned char byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xc2 || byte > 0xf4) return {0};
  if (byte < 0xe0) return {2};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {4};
}

/// Whether a terminal would obey it, or show what stands beside it in another order.
bool is_obeyed(char32_t c) {
  const bool is_control = c < 0x20 || (c >= 0x7f && c < 0xa0);
  const bool is_line_end = c == 0x2028 || c == 0x2029;
  const bool is_direction = c == 0x61c || c == 0x200e || c == 0x200f ||
                            (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
  return is_control || is_line_end || is_direction;
}

/// Whether it stands in a text without being seen, as a mark of direction or a soft hyphen does.
bool is_format(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_CF;
}

/// What stands at the front of `text`, a byte at a time where that is no character.
Utf8Beginning character_or_byte(std::string_view text) {
  Utf8Beginning beginning = utf8_beginning(text);
  if (!beginning.is_character) beginning.length = 1;
  return beginning;
}

}  // namespace

Utf8Beginning utf8_beginning(std::string_view text) {
  if (text.empty()) return {0, 0, false, false};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const FirstByte first = row_of(byte(0));
  if (first.length == 0) return {1, 0, false, false};
  if (first.length == 1) return {1, byte(0), true, false};
  char32_t code_point = byte(0) & (0x7fu >> first.length);
  for (std::size_t i = 1; i < first.length; ++i) {
    if (i == text.size()) return {i, 0, false, true};
    const unsigned char low = i == 1 ? first.low : 0x80;
    const unsigned char high = i == 1 ? first.high : 0xbf;
    if (byte(i) < low || byte(i) > high) return {i, 0, false, false};
    code_point = code_point << 6 | (byte(i) & 0x3fu);
  }
  return {first.length, code_point, true, false};
}

bool is_utf8(std::string_view bytes) { return utf8_prefix(bytes) == bytes.size(); }

std::size_t utf8_prefix(std::string_view bytes) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::uint64_t eight = kHighBits;  // ASCII passes eight bytes at a time: a document may be large
    if (bytes.size() - at >= sizeof eight) std::memcpy(&eight, bytes.data() + at, sizeof eight);
    if ((eight & kHighBits) == 0) {
      at += sizeof eight;
      continue;
    }
    const Utf8Beginning beginning = utf8_beginning(bytes.substr(at));
    if (!beginning.is_character) break;
    at += beginning.length;
  }
  return at;
}

std::size_t incomplete_bytes(std::string_view bytes) {
  const std::size_t most = std::min<std::size_t>(3, bytes.size());
  for (std::size_t length = 1; length <= most; ++length) {
    const std::string_view end = bytes.substr(bytes.size() - length);
    if ((static_cast<unsigned char>(end.front()) & 0xc0) == 0x80) continue;  // inside a character
    return utf8_beginning(end).needs_more ? length : 0;
  }
  return 0;
}

std::string printable(std::string_view text, std::size_t longest) {
  constexpr char digits[] = "0123456789abcdef";
  std::string result;
  while (!text.empty()) {
    if (result.size() >= longest) return result + "...";
    const Utf8Beginning beginning = character_or_byte(text);
    const char32_t c = beginning.code_point;
    const std::string_view bytes = text.substr(0, beginning.length);
    text.remove_prefix(beginning.length);
    if (beginning.is_character && !is_obeyed(c) && !is_format(c)) {
      result += bytes;
      continue;
    }
    for (const char character : bytes) {
      const auto byte = static_cast<unsigned char>(character);
      result += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return result;
}

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 160;
  return "'" + printable(text, kLongest) + "'";
}

std::string displayable_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const Utf8Beginning beginning = character_or_byte(bytes);
    if (bytes.front() == '\0') {
      text += "\u2400";
    } else {
      text += beginning.is_character ? bytes.substr(0, beginning.length) : kReplacement;
    }
    bytes.remove_prefix(beginning.length);
  }
  return text;
}

std::string terminal_text(std::string_view lines) {
  std::string text;
  while (!lines.empty()) {
    const Utf8Beginning beginning = character_or_byte(lines);
    const char32_t c = beginning.code_point;
    const bool is_shown = beginning.is_character && (c == U'\n' || !is_obeyed(c));
    text += is_shown ? lines.substr(0, beginning.length) : kReplacement;
    lines.remove_prefix(beginning.length);
  }
  return text;
}

}  // namespace longshadow
