#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longshadow {

/// Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
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

}  // namespace longshadow
