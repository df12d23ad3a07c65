#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longshadow {

/// The name that fewest insertions, deletions and substitutions of a character turn `text` into
/// (Levenshtein 1966), the first of equals. `names` is not empty.
std::string_view nearest_name(std::string_view text, std::span<const std::string_view> names);

/// The `most` nearest names by the same measure, nearest first; all where there are no more.
std::vector<std::string_view> nearest_names(std::string_view text,
                                            std::span<const std::string_view> names,
                                            std::size_t most);

/// "a, b, c"
std::string comma_list(std::span<const std::string_view> names);

}  // namespace longshadow
