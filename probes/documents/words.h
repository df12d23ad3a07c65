#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "engine/core/range.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// The words of a text, as ranges of its bytes: runs of letters, marks, digits and connectors
/// (Unicode's \w), with an apostrophe that stands between two of them ("don't" is one word). In a
/// script without spaces a run may be several words. Bytes that are not UTF-8 end a word.
std::vector<Range> find_words(std::string_view text);

/// For each byte range, the tokens that stand for any of its bytes; empty where none does. The
/// ranges are sorted and disjoint, the tokens in the order of the text.
std::vector<Range> tokens_within(std::span<const Range> bytes, std::span<const Token> tokens);

}  // namespace longshadow
