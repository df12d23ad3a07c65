#pragma once

#include <span>
#include <string_view>

#include "probes/part_of_speech/words.h"

namespace longshadow {

/// Leaves the words between backticks on one line, and those between lines that open and close a
/// fence of ``` or ~~~ (CommonMark 0.31, 4.5), no tag but X; their numbers and punctuation keep
/// theirs. A fence that is never closed is none.
void mark_code(std::string_view text, std::span<TextWord> words);

}  // namespace longshadow
