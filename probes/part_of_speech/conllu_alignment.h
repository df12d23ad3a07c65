#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "probes/part_of_speech/conllu.h"
#include "probes/part_of_speech/tagger.h"

namespace longshadow {

/// Finds a treebank's words in the text that was tagged: the forms of its tokens one after the
/// other with nothing but white space between, before and behind them. A space in a form stands for
/// any white space. A multiword token is divided between its words where they spell it ("do",
/// "n't"); where they do not ("de", "le" for "du") it goes to the first, and the others are empty.
/// Throws Error naming the line of `tags_source`, the form and the bytes of `text_source` that do
/// not fit.
std::vector<TaggedWord> align_conllu(std::span<const ConlluSentence> sentences,
                                     const std::string& tags_source, std::string_view text,
                                     const std::string& text_source);

}  // namespace longshadow
