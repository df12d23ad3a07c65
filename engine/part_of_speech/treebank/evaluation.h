#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "engine/part_of_speech/conllu.h"
#include "engine/part_of_speech/perceptron.h"

namespace longshadow {

/// How often words of a treebank got which tag.
struct Confusion {
  /// [gold tag][given tag], by value.
  std::array<std::array<std::size_t, kWordTags>, kWordTags> counts{};

  std::size_t words() const;
  std::size_t words(UniversalTag gold) const;
  std::size_t right() const;
  std::size_t right(UniversalTag gold) const;
  /// How often a tag was given, rightly or not.
  std::size_t given(UniversalTag tag) const;
};

/// Tags the treebank's own words, every tag allowed.
Confusion evaluate(const Perceptron& perceptron, std::span<const ConlluSentence> treebank);

/// How well tag_text does from a treebank's raw text on, which has to find the words first
/// (https://universaldependencies.org/conll18/evaluation.html).
struct RawTextScore {
  std::size_t gold_words = 0;
  std::size_t found_words = 0;
  std::size_t shared_words = 0;  ///< with the same bytes in both
  std::size_t shared_tags = 0;   ///< and the same tag
  double words_f1() const;
  double tags_f1() const;
};

/// Of sentences with a "# text" comment; each is tagged by itself.
RawTextScore evaluate_raw_text(const Perceptron& perceptron,
                               std::span<const ConlluSentence> treebank);

}  // namespace longshadow
