#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longshadow {

/// How a text begins: with a character, or with bytes of which none will ever come (Unicode 15,
/// table 3-7: no surrogates, no overlong forms, at most U+10FFFF).
struct Utf8Beginning {
  std::size_t length;   ///< bytes of the character, or of its longest beginning that has no end
  char32_t code_point;  ///< of the character
  bool is_character;
  bool needs_more;  ///< the text ends before the character does
};

/// Decodes what stands at the front of `text`. Of an empty text, nothing: a length of 0.
Utf8Beginning utf8_beginning(std::string_view text);

/// Whether the bytes are well-formed UTF-8.
bool is_utf8(std::string_view bytes);

/// How many bytes at the start are well-formed UTF-8: all of them, or as many as stand before the
/// first byte that is not.
std::size_t utf8_prefix(std::string_view bytes);

/// How many bytes at the end, 0 to 3, begin a character that more bytes could complete.
std::size_t incomplete_bytes(std::string_view bytes);

/// The text as one line that no terminal obeys, whatever it holds: control and format characters,
/// line ends, and bytes that are not UTF-8 appear as \xNN. What is longer than `longest` bytes is
/// cut with "...".
std::string printable(std::string_view text, std::size_t longest);

/// The same in single quotes, short enough to stand in an error message.
std::string quote(std::string_view text);

/// `bytes` as UTF-8 that every reader can show: each byte that is not part of well-formed UTF-8
/// becomes U+FFFD, NUL becomes its symbol U+2400.
std::string displayable_utf8(std::string_view bytes);

/// Lines of text as a terminal can be given them, whoever wrote them: each byte that is not part of
/// well-formed UTF-8, and what a terminal would obey or show in another order (control characters
/// but line ends, marks of direction, Unicode's own line ends), becomes U+FFFD.
std::string terminal_text(std::string_view lines);

}  // namespace longshadow
