#include "engine/part_of_speech/lexicon.h"

#include <unordered_map>

#include "engine/part_of_speech/words/word_form.h"

namespace longshadow {

Lexicon Lexicon::count(std::span<const ConlluSentence> treebank) {
  struct Seen {
    std::size_t times = 0;
    TagSet tags;
  };
  std::unordered_map<Key, Seen> words;
  for (const ConlluSentence& sentence : treebank) {
    for (const ConlluWord& word : sentence.words) {
      Seen& seen = words[key_of(hash_of(lower_case(word.form)))];
      ++seen.times;
      seen.tags.insert(word.tag);
    }
  }
  Lexicon lexicon;
  for (const auto& [key, seen] : words) {
    if (seen.times > kRareCount) {
      lexicon.insert(key, seen.times >= kAmbiguityCount ? seen.tags : TagSet());
    }
  }
  return lexicon;
}

LexiconEntry Lexicon::find(std::uint64_t lower_hash) const {
  const auto found = tags_.find(key_of(lower_hash));
  if (found == tags_.end()) return {};
  return {false, found->second};
}

}  // namespace longshadow
