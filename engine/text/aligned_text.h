#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// How much of a text there is: all of it, or a beginning behind which it goes on.
enum class Extent { whole, beginning };

/// A text under preparation, with the bytes of the original that each of its own bytes came from.
class AlignedText {
 public:
  const std::string& bytes() const { return bytes_; }

  /// The bytes of the original that bytes `range` came from. An inserted byte came from an empty
  /// range; each byte of a composed character came from all that it was composed of.
  Range source_of(Range range) const;

  /// Appends `bytes`, made from `source`: byte by byte where both have the same length, each byte
  /// from the whole of it otherwise.
  void append(std::string_view bytes, Range source);
  void append(const AlignedText& other, Range range);

 private:
  std::string bytes_;
  std::vector<Range> sources_;
};

/// The bytes `range` of `original` as well-formed UTF-8, for patterns and normalisers to work on: a
/// byte that belongs to no well-formed sequence appears as U+FFFD, with that byte as its source.
AlignedText as_utf8(std::string_view original, Range range);

/// Undoes as_utf8's stand-ins: the bytes are the original's own again. `ranges` (ascending,
/// disjoint, on code point boundaries of `text`) are moved along.
AlignedText restore_invalid_bytes(const AlignedText& text, std::string_view original,
                                  std::vector<Range>& ranges);

}  // namespace longshadow
