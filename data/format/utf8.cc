#include "data/format/utf8.h"

#include <cstddef>

namespace longshadow {

namespace {

unsigned char byte_at(std::string_view bytes, std::size_t i) {
  return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
}

/// Bytes of the well-formed character at the front of `bytes`, 0 where there is none.
std::size_t character_size(std::string_view bytes) {
  const unsigned char lead = byte_at(bytes, 0);
  if (lead < 0x80) return 1;
  // The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF.
  const unsigned char lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  const std::size_t size = lead < 0xc2   ? 0
                           : lead < 0xe0 ? 2
                           : lead < 0xf0 ? 3
                           : lead < 0xf5 ? 4
                                         : 0;
  if (size == 0 || byte_at(bytes, 1) < lowest || byte_at(bytes, 1) > highest) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if ((byte_at(bytes, i) & 0xc0) != 0x80) return 0;
  }
  return size;
}

/// Of one well-formed character.
char32_t code_point_of(std::string_view character) {
  const unsigned char lead = byte_at(character, 0);
  if (character.size() == 1) return lead;
  char32_t code_point = lead & (0x7fu >> character.size());
  for (std::size_t i = 1; i < character.size(); ++i) {
    code_point = code_point << 6 | (byte_at(character, i) & 0x3fu);
  }
  return code_point;
}

bool is_obeyed(char32_t c) {
  const bool is_control = (c < 0x20 && c != U'\n') || (c >= 0x7f && c < 0xa0);
  const bool is_line_end = c == 0x2028 || c == 0x2029;
  const bool is_direction = c == 0x61c || c == 0x200e || c == 0x200f ||
                            (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
  return is_control || is_line_end || is_direction;
}

}  // namespace

std::string displayable_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t size = character_size(bytes);
    if (bytes.front() == '\0') {
      text += "\u2400";
    } else if (size == 0) {
      text += "\uFFFD";
    } else {
      text += bytes.substr(0, size);
    }
    bytes.remove_prefix(size == 0 ? 1 : size);
  }
  return text;
}

std::string terminal_text(std::string_view lines) {
  std::string text;
  while (!lines.empty()) {
    const std::size_t size = character_size(lines);
    const std::string_view character = lines.substr(0, size);
    text += size == 0 || is_obeyed(code_point_of(character)) ? "\uFFFD" : character;
    lines.remove_prefix(size == 0 ? 1 : size);
  }
  return text;
}

}  // namespace longshadow
