#pragma once

#include <vector>

#include "engine/part_of_speech/words/universal_tag.h"
#include "engine/text/pattern.h"

namespace longshadow {

/// What one kind of word looks like, and the tags that its form leaves open.
struct WordRule {
  Pattern pattern;
  TagSet allowed;
};

/// Of a word that is neither number, sign, markup nor code.
inline constexpr TagSet kProseTags = TagSet::all().without(UniversalTag::punct);

/// In the order they apply: each finds its words in what the rules before it left over, and the
/// last takes anything but white space.
const std::vector<WordRule>& word_rules();

}  // namespace longshadow
