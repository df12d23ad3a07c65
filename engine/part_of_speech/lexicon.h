#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "engine/part_of_speech/conllu.h"
#include "engine/part_of_speech/words/universal_tag.h"

namespace longshadow {

/// What the training treebank says about a word, ignoring case.
struct LexiconEntry {
  bool rare = true;  ///< seen at most kRareCount times: its affixes and shape must say more
  /// The tags it had (its ambiguity class, Cutting et al. 1992) where it was seen at least
  /// kAmbiguityCount times, else empty. A rarer word's class would give its gold tag away in
  /// training, which no class does for the unknown words of another text.
  TagSet tags;
};

inline constexpr std::size_t kRareCount = 5;
inline constexpr std::size_t kAmbiguityCount = 10;

/// The words of a treebank that are not rare, by a hash of their lower-case form; words that share
/// one are one word.
class Lexicon {
 public:
  using Key = std::uint32_t;

  static Lexicon count(std::span<const ConlluSentence> treebank);

  /// `lower_hash` is hash_of(lower_case(form)).
  static Key key_of(std::uint64_t lower_hash) { return static_cast<Key>(lower_hash >> 32); }
  LexiconEntry find(std::uint64_t lower_hash) const;

  void insert(Key key, TagSet tags) { tags_.emplace(key, tags); }
  /// Ambiguity classes (empty under kAmbiguityCount) by key.
  const std::map<Key, TagSet>& entries() const { return tags_; }

 private:
  std::map<Key, TagSet> tags_;
};

}  // namespace longshadow
