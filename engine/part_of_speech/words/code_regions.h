#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "engine/part_of_speech/words/words.h"

namespace longshadow {

inline constexpr std::size_t kLongestCodeBytes = std::size_t{64} << 10;

/// Leaves no tag but X to the words of Markdown's code: between as many backticks on one line, and
/// from a line that opens a fence of ``` or ~~~ to the one that closes it (CommonMark 0.31, 4.5 and
/// 6.1). Numbers and punctuation in code keep their tags. A fence that is never closed is none, and
/// neither is one that is not closed within kLongestCodeBytes: so a word's tag does not depend on
/// text far behind it.
void mark_code(std::string_view text, std::span<TextWord> words);

}  // namespace longshadow
