#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace longshadow {

struct CodePoint {
  char32_t value;
  std::size_t length;  ///< bytes of its UTF-8
};

/// The code point whose well-formed UTF-8 starts at byte `at` of `text`; empty where there is none.
std::optional<CodePoint> code_point_at(std::string_view text, std::size_t at);
/// The code point whose well-formed UTF-8 ends before byte `end`; empty where there is none.
std::optional<CodePoint> code_point_before(std::string_view text, std::size_t end);

/// `code_point` must be a Unicode scalar value.
void append_utf8(std::string& text, char32_t code_point);

/// Whether texts have such characters: assigned ones that are neither controls, but for those that
/// part words and lines, nor private.
bool is_text_character(char32_t code_point);
/// Unicode's White_Space property.
bool is_white_space(char32_t code_point);
/// Where the white space from byte `at` on ends, `at` where there is none.
std::size_t behind_white_space(std::string_view text, std::size_t at);
/// What Unicode regular expressions call \w (UTS #18, annex C): letters, marks, decimal and letter
/// numbers, connectors and joiners.
bool is_word_character(char32_t code_point);

/// General category L: what Python's str.isalpha() passes.
bool is_letter(char32_t code_point);

/// What a letter or digit looks like: general categories Lu and Lt; Ll; Nd; all others.
enum class CharacterClass { upper, lower, digit, other };
CharacterClass character_class(char32_t code_point);
/// Unicode's simple case mappings.
char32_t to_lower(char32_t code_point);
char32_t to_upper(char32_t code_point);
char32_t to_title(char32_t code_point);

/// Neither a control, a format or a private character, nor a separator but U+0020, nor unassigned.
bool is_printable(char32_t code_point);

}  // namespace longshadow
