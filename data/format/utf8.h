#pragma once

#include <string>
#include <string_view>

namespace longshadow {

/// `bytes` as UTF-8 that every reader can show: each byte that is not part of well-formed UTF-8
/// (Unicode 15, table 3-7) becomes U+FFFD, NUL becomes its symbol U+2400.
std::string displayable_utf8(std::string_view bytes);

/// Lines of text as a terminal can be given them, whoever wrote them: what is not UTF-8, and what a
/// terminal would obey or show in another order (control characters but line ends, marks of
/// direction, Unicode's own line ends), becomes U+FFFD.
std::string terminal_text(std::string_view lines);

}  // namespace longshadow
