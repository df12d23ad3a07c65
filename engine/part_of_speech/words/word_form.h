#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace longshadow {

// Views of a word's form that its features are made of. Forms are well-formed UTF-8.

/// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv).
std::uint64_t hash_of(std::string_view bytes);

std::string lower_case(std::string_view form);

/// Upper-case letters as X, lower-case ones as x, digits as d, anything else as itself, and of a
/// run of one of them the first two: "McDonald's" is "XxXxx'x".
std::string shape_of(std::string_view form);

/// Lower case with digits as 0, and a web or e-mail address as one word that stands for all.
std::string normalised(std::string_view form);

/// The first or last `count` code points, the whole where there are fewer.
std::string_view prefix_of(std::string_view form, std::size_t count);
std::string_view suffix_of(std::string_view form, std::size_t count);

}  // namespace longshadow
