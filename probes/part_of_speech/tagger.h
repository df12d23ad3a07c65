#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/range.h"
#include "probes/part_of_speech/perceptron.h"
#include "probes/part_of_speech/universal_tag.h"

namespace longshadow {

/// A word of a text with its part of speech.
struct TaggedWord {
  Range bytes;  ///< of the text
  UniversalTag tag;
  bool ends_sentence;
};

/// The words of a text (find_text_words), each with the best of the tags that its form leaves open.
std::vector<TaggedWord> tag_text(const Perceptron& perceptron, std::string_view text);

}  // namespace longshadow
