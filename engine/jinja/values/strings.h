#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/jinja/values/heap.h"

/// What Python's str does, by code points; bytes that are not UTF-8 count as one each. Letter case
/// is mapped one code point to one, but for the German sharp s.
namespace longshadow::jinja {

/// Where the code points of a text begin. `text` must outlive it.
class CodePoints {
 public:
  CodePoints(Heap& heap, std::string_view text);
  std::size_t size() const { return begins_.size() - 1; }
  std::string between(std::size_t first, std::size_t last) const {
    return std::string(text_.substr(begins_[first], begins_[last] - begins_[first]));
  }
  /// The byte that a code point begins at; size() has the text's end.
  std::size_t byte_at(std::size_t code_point) const { return begins_[code_point]; }
  /// U+FFFD for a byte that is not UTF-8.
  char32_t operator[](std::size_t code_point) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> begins_;
};

std::size_t length_of(Heap& heap, std::string_view text);

/// The byte at or behind `from` where `part` first stands, or npos.
std::size_t find_text(Heap& heap, std::string_view text, std::string_view part,
                      std::size_t from = 0);

enum class Side { left, right, both };

/// Without white space at the sides, or without any of `characters`.
std::string stripped(Heap& heap, std::string_view text, Side side,
                     const std::optional<std::string>& characters = std::nullopt);

/// At most `most` times where that is not negative; white space where there is no separator.
std::vector<std::string> split(Heap& heap, std::string_view text,
                               const std::optional<std::string>& separator, std::int64_t most);
/// The same from the end.
std::vector<std::string> split_last(Heap& heap, std::string_view text,
                                    const std::optional<std::string>& separator, std::int64_t most);
std::vector<std::string> split_lines(Heap& heap, std::string_view text, bool keeps_ends);

std::string replaced(Heap& heap, std::string_view text, std::string_view old,
                     std::string_view replacement, std::int64_t most);

std::string lowered(Heap& heap, std::string_view text);
std::string uppered(Heap& heap, std::string_view text);
/// The first letter large, all others small.
std::string capitalized(Heap& heap, std::string_view text);

/// Filled up with `fill` to `width` code points; Side::both centres as Python does.
std::string padded(Heap& heap, std::string_view text, Side text_side, std::int64_t width,
                   std::string_view fill = " ");

/// & < > ' " as entities.
std::string html_escaped(std::string_view text);

}  // namespace longshadow::jinja
