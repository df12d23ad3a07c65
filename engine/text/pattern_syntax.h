#pragma once

#include <string>
#include <string_view>

namespace longshadow {

/// Rewrites an Oniguruma expression (Ruby syntax) as the PCRE2 expression with the same meaning.
/// Throws std::invalid_argument with the reason where the construct is not among those that
/// tokenizers use or means something else in PCRE2.
std::string to_pcre2_syntax(std::string_view expression);

}  // namespace longshadow
