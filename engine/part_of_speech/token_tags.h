#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/part_of_speech/tagger.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// A model token's part of speech, that of the word it lies in, and its sentence.
struct TokenTag {
  static constexpr std::int32_t kNoWord = -1;

  UniversalTag tag = UniversalTag::none;
  std::int32_t word = kNoWord;  ///< index into the text's words
  bool begins_word = false;     ///< whether it is the first token of that word
  std::int32_t sentence = 0;    ///< counts those that tokens begin
};

/// Projects words on tokens of the same text through byte offsets; both ascend. A token that
/// touches several words belongs to the one that most of its bytes lie in, the first of equals: the
/// white space around words counts for none. A token that touches no word (white space, a
/// beginning-of-sequence token) has the tag `none`. A sentence begins with the first token of its
/// first word that nothing of the sentence before lies in, and holds all up to the next one's: a
/// sentence without such a token is part of the one before, and the first holds what stands before
/// its words.
std::vector<TokenTag> project(std::span<const TaggedWord> words, std::span<const Token> tokens);

}  // namespace longshadow
