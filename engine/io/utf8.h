#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longshadow {

/// Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(std::string_view bytes);

/// The text as one line that no terminal obeys, whatever it holds: control and format characters,
/// line ends, and bytes that are not UTF-8 appear as \xNN. What is longer than `longest` bytes is
/// cut with "...".
std::string printable(std::string_view text, std::size_t longest);

/// The same in single quotes, short enough to stand in an error message.
std::string quote(std::string_view text);

}  // namespace longshadow
