#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/part_of_speech/conllu.h"
#include "engine/part_of_speech/tagger.h"

namespace longshadow {

/// A text that a treebank's words are looked for in.
struct TextToAlign {
  std::string_view text;
  std::string name;            ///< for messages
  std::size_t first_byte = 0;  ///< of `text`, as messages count bytes
  /// Where the search may stop: the text, or the words, need not end there.
  std::size_t end = std::string_view::npos;
};

/// Finds a treebank's words in the text that was tagged: the forms of its tokens one after the
/// other with nothing but white space between, before and behind them. A space in a form stands for
/// any white space. A multiword token is divided between its words where they spell it ("do",
/// "n't"); where they do not ("de", "le" for "du") it goes to the first, and the others are empty.
/// Throws Error naming the line of `tags_source`, the form and the bytes of the text that do not
/// fit, with the code points of both where those are not ASCII.
std::vector<TaggedWord> align_conllu(std::span<const ConlluSentence> sentences,
                                     const std::string& tags_source, const TextToAlign& text);

}  // namespace longshadow
