#pragma once

#include <string_view>
#include <vector>

#include "engine/core/range.h"
#include "engine/part_of_speech/words/universal_tag.h"

namespace longshadow {

/// A word of a text as Universal Dependencies counts words in English: punctuation apart, and
/// "n't",
/// "'s", "'ll" apart from what they lean on.
struct TextWord {
  Range bytes;     ///< of the text; disjoint and ascending
  TagSet allowed;  ///< the tags that its form leaves open: of "<br>", X alone
  bool ends_sentence = false;
};

/// The words of a text in any bytes; every byte but white space belongs to one. What is not English
/// prose never gets a noun's tag by accident:
///   numbers                                NUM
///   punctuation and ASCII symbols          PUNCT or SYM (an apostrophe may be a PART, & a CCONJ)
///   other symbols, emoji, addresses        SYM (web and e-mail addresses are in UD's list of SYM)
///   markup (HTML, LaTeX commands), code (between backticks, in fenced blocks, names_like_this),
///   words in another script than Latin     X
///
/// Of a long text those are enough that begin before byte `end`, and the rest of their last
/// sentence; a few more words may be given. What is said of them is the same for any text that
/// begins with this one, if this one goes on for kTextBehind bytes behind `end`.
std::vector<TextWord> find_text_words(std::string_view text,
                                      std::size_t end = std::string_view::npos);

/// More than the longest sentence, the longest code and a few of the stretches in which words are
/// looked for.
inline constexpr std::size_t kTextBehind = std::size_t{128} << 10;

}  // namespace longshadow
