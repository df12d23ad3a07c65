#pragma once

#include <string>
#include <string_view>

namespace longshadow {

/// Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(std::string_view bytes);

/// The text in single quotes, fit for one line of an error message whatever it holds: control
/// characters and bytes that are not UTF-8 appear as \xNN, and a long text is cut with "...".
std::string quote(std::string_view text);

}  // namespace longshadow
