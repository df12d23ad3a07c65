#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/io/tokenizer.h"
#include "probes/part_of_speech/tagger.h"

namespace longshadow {

/// A model token's part of speech: that of the word it lies in.
struct TokenTag {
  static constexpr std::int32_t kNoWord = -1;

  UniversalTag tag = UniversalTag::none;
  std::int32_t word = kNoWord;  ///< index into the text's words
  bool begins_word = false;     ///< whether it is the first token of that word
};

/// Projects words on tokens of the same text through byte offsets; both ascend. A token that
/// touches several words belongs to the one that most of its bytes lie in, the first of equals: the
/// white space around words counts for none. A token that touches no word (white space, a
/// beginning-of-sequence token) has the tag `none`.
std::vector<TokenTag> project(std::span<const TaggedWord> words, std::span<const Token> tokens);

}  // namespace longshadow
