#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// A whole number, and nothing where the text is none.
std::optional<std::size_t> whole_number(std::string_view text);

/// The 5 of "5%": above 0 and at most 100, and nothing where the text is no such share.
std::optional<double> percentage(std::string_view text);

/// A whole number. Throws UsageError quoting `option`, the text that it is part of.
std::size_t parse_number(std::string_view text, const std::string& option);

/// What the numbers of a list count: "token", of "the context", which has so many.
struct Counted {
  const char* noun;
  const char* whole;
  std::size_t count;
};

/// Numbers and spans, "3,7-9", as ranges in the order written. Throws UsageError quoting `option`,
/// also where a number is not below the count.
std::vector<Range> parse_ranges(std::string_view list, const std::string& option,
                                const Counted& of);

}  // namespace longshadow
