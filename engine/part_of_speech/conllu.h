#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/range.h"
#include "engine/part_of_speech/words/universal_tag.h"

namespace longshadow {

/// A syntactic word of a treebank.
struct ConlluWord {
  std::string form;
  UniversalTag tag;
};

/// What stands in the text between two spaces or other tokens: a word, or a multiword token
/// ("don't") whose words ("do", "n't") the treebank tags one by one.
struct ConlluToken {
  std::string form;
  Range words;       ///< indices into the sentence's words, never empty
  std::size_t line;  ///< of the file, from 1
};

struct ConlluSentence {
  std::vector<ConlluWord> words;
  std::vector<ConlluToken> tokens;  ///< cover the words in order
  std::string text;                 ///< of its "# text = " comment, empty where it has none
};

/// Whether a word's UPOS may be "_": it then has the tag `none`. Of a file's words some must have
/// one.
enum class MissingTags { refused, allowed };

/// Reads a file in CoNLL-U (https://universaldependencies.org/format.html): of its ten columns ID,
/// FORM and UPOS. Empty nodes (8.1), which stand for no word of the text, are passed over, and so
/// are the rows that spaCy writes for white space (UPOS SPACE or XPOS _SP, or a form of nothing
/// else), whose IDs count; line ends and tabs may stand as they are in their forms and lemmas, and
/// line ends in the comment that has the text. Lines may end in LF or CRLF, and a byte-order mark
/// may go first. `source` names the file; throws Error naming the line where it is malformed: not
/// UTF-8, a column missing, IDs out of order, a multiword token that covers words that are not
/// there or are covered already, a tag that is not universal, no sentence at all.
std::vector<ConlluSentence> read_conllu(std::string_view text, const std::string& source,
                                        MissingTags missing = MissingTags::refused);

}  // namespace longshadow
