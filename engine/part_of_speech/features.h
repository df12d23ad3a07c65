#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/part_of_speech/lexicon.h"
#include "engine/part_of_speech/words/universal_tag.h"

namespace longshadow {

/// A feature is known by a 32-bit hash of its template and values. Two features with one hash are
/// one feature, in training as in tagging: a million features share 2^32 hashes with about 120
/// collisions, which the perceptron learns around.
using Feature = std::uint32_t;

/// What the features of a word and of its neighbours are made of: hashes of its form and of parts
/// and forms of it. Affixes count code points; one as long as the word is the word.
struct WordAttributes {
  std::uint64_t form;
  std::uint64_t lower;       ///< lower case
  std::uint64_t normalised;  ///< lower case, digits as 0, web and e-mail addresses as one word each
  std::uint64_t shape;       ///< "Xx-dd": runs of a class cut to two characters
  std::array<std::uint64_t, 4> prefixes;  ///< of 1 to 4 code points
  std::array<std::uint64_t, 5> suffixes;  ///< of 1 to 5 code points, lower case
  std::uint64_t flags;                    ///< digit, hyphen and case
  LexiconEntry lexicon;
};

/// `form` is well-formed UTF-8, not empty.
WordAttributes attributes_of(std::string_view form, const Lexicon& lexicon);

/// Tags of the two words before, 0 to 16, or kNoTag before the sentence.
struct TagHistory {
  static constexpr std::uint8_t kNoTag = 31;
  std::uint8_t previous = kNoTag;
  std::uint8_t before_previous = kNoTag;

  TagHistory then(UniversalTag tag) const { return {static_cast<std::uint8_t>(tag), previous}; }
};

/// The features of a sentence's words for a greedy tagger that goes from left to right: of the word
/// itself, its two neighbours on either side, and the two tags already given. After Ratnaparkhi
/// (1996), Collins (2002) and Manning (2011).
class SentenceFeatures {
 public:
  /// `words` must outlive the object.
  explicit SentenceFeatures(std::span<const WordAttributes> words);

  /// The features of word `index`, valid until the next call.
  std::span<const Feature> at(std::size_t index, TagHistory history);

 private:
  const WordAttributes& word(std::size_t index, int offset) const;
  void add_word(const WordAttributes& word);
  void add_neighbours(std::size_t index);
  void add_history(std::size_t index, TagHistory history);

  std::span<const WordAttributes> words_;
  std::vector<Feature> features_;
};

}  // namespace longshadow
