#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "engine/part_of_speech/words/words.h"

namespace longshadow {

inline constexpr std::size_t kLongestSentenceBytes = std::size_t{16} << 10;

/// Sets ends_sentence: at a blank line, before a line that starts a list item or a heading, and
/// behind ". ? !" with their closing quotes and brackets where the next word does not go on in
/// lower case. The period of an abbreviation is part of its word and ends nothing, nor does that of
/// a list item's number ("2. Then") that begins a sentence and its line. A sentence that
/// would be longer than kLongestSentenceBytes (a table, a list of numbers) ends before it is.
void mark_sentences(std::string_view text, std::span<TextWord> words);

}  // namespace longshadow
