#include "engine/text/unicode.h"

#include <utf8proc.h>

#include "engine/text/utf8.h"

namespace longshadow {

std::optional<CodePoint> code_point_at(std::string_view text, std::size_t at) {
  const Utf8Beginning beginning = utf8_beginning(text.substr(at));
  if (!beginning.is_character) return std::nullopt;
  return CodePoint{beginning.code_point, beginning.length};
}

std::optional<CodePoint> code_point_before(std::string_view text, std::size_t end) {
  constexpr std::size_t kLongest = 4;
  for (std::size_t length = 1; length <= kLongest && length <= end; ++length) {
    const auto code_point = code_point_at(text.substr(0, end), end - length);
    if (code_point && code_point->length == length) return code_point;
  }
  return std::nullopt;
}

void append_utf8(std::string& text, char32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

bool is_text_character(char32_t code_point) {
  if (code_point > 0x10ffff) return false;
  if (code_point >= U'\t' && code_point <= U'\r') return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return false;
    default:
      return true;
  }
}

bool is_white_space(char32_t code_point) {
  if ((code_point >= U'\t' && code_point <= U'\r') || code_point == 0x85) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return false;
  }
}

std::size_t behind_white_space(std::string_view text, std::size_t at) {
  while (const auto code_point = code_point_at(text, at)) {
    if (!is_white_space(code_point->value)) break;
    at += code_point->length;
  }
  return at;
}

bool is_word_character(char32_t code_point) {
  constexpr char32_t kZeroWidthNonJoiner = 0x200c;
  constexpr char32_t kZeroWidthJoiner = 0x200d;
  if (code_point == kZeroWidthNonJoiner || code_point == kZeroWidthJoiner) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

bool is_letter(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return true;
    default:
      return false;
  }
}

CharacterClass character_class(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return CharacterClass::upper;
    case UTF8PROC_CATEGORY_LL:
      return CharacterClass::lower;
    case UTF8PROC_CATEGORY_ND:
      return CharacterClass::digit;
    default:
      return CharacterClass::other;
  }
}

char32_t to_lower(char32_t code_point) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point)));
}

char32_t to_upper(char32_t code_point) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code_point)));
}

char32_t to_title(char32_t code_point) {
  return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(code_point)));
}

bool is_printable(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return code_point == U' ';
    default:
      return true;
  }
}

}  // namespace longshadow
