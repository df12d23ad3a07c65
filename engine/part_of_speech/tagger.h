#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/range.h"
#include "engine/part_of_speech/perceptron.h"
#include "engine/part_of_speech/words/universal_tag.h"

namespace longshadow {

/// A word of a text with its part of speech.
struct TaggedWord {
  Range bytes;  ///< of the text
  UniversalTag tag;
  bool ends_sentence;
};

/// The words of a text (find_text_words), each with the best of the tags that its form leaves open:
/// all, or the sentences that begin before byte `end`, for which the text must go on behind it as
/// find_text_words() says.
std::vector<TaggedWord> tag_text(const Perceptron& perceptron, std::string_view text,
                                 std::size_t end = std::string_view::npos);

}  // namespace longshadow
