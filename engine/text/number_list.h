#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// Reads a whole number; nothing where the text is none.
std::optional<std::size_t> whole_number(std::string_view text);

/// Reads "5%" as 5, above 0 and at most 100; nothing where the text is no such share.
std::optional<double> percentage(std::string_view text);

/// Reads a whole number. Throws UsageError.
std::size_t parse_number(std::string_view text);

/// Reads numbers and spans, "3,7-9", as ranges in the order written. Throws UsageError.
std::vector<Range> parse_ranges(std::string_view list);

/// Numbers below a count that is not known yet.
struct NumberList {
  std::string text = "all";   ///< as it was typed
  std::vector<Range> ranges;  ///< empty: all
};

/// Reads "all", or numbers and spans. Throws UsageError.
NumberList parse_number_list(const std::string& text);

/// Things that a list numbers: `noun` "token" of `whole` "context", which has so many.
struct Counted {
  const char* noun;
  const char* whole;
  std::size_t count;
};

/// Throws UsageError where a number is not below the count.
void check_ranges(std::span<const Range> ranges, const Counted& of);

}  // namespace longshadow
