#include "engine/part_of_speech/treebank/evaluation.h"

#include <map>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/part_of_speech/tagger.h"
#include "engine/part_of_speech/treebank/conllu_alignment.h"

namespace longshadow {
namespace {

std::size_t sum(std::span<const std::size_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
}

/// The harmonic mean of precision and recall.
double f1(std::size_t shared, std::size_t gold, std::size_t found) {
  return gold + found == 0 ? 0.0
                           : 2.0 * static_cast<double>(shared) / static_cast<double>(gold + found);
}

}  // namespace

std::size_t Confusion::words(UniversalTag gold) const { return sum(counts[index_of(gold)]); }

std::size_t Confusion::right(UniversalTag gold) const {
  return counts[index_of(gold)][index_of(gold)];
}

std::size_t Confusion::words() const {
  std::size_t all = 0;
  for (const auto& row : counts) all += sum(row);
  return all;
}

std::size_t Confusion::right() const {
  std::size_t all = 0;
  for (std::size_t tag = 0; tag < kWordTags; ++tag) all += counts[tag][tag];
  return all;
}

std::size_t Confusion::given(UniversalTag tag) const {
  std::size_t all = 0;
  for (const auto& row : counts) all += row[index_of(tag)];
  return all;
}

Confusion evaluate(const Perceptron& perceptron, std::span<const ConlluSentence> treebank) {
  Confusion confusion;
  std::vector<std::string_view> forms;
  std::vector<TagSet> allowed;
  for (const ConlluSentence& sentence : treebank) {
    forms.clear();
    for (const ConlluWord& word : sentence.words) forms.push_back(word.form);
    allowed.assign(forms.size(), TagSet::all());
    const std::vector<UniversalTag> tags = perceptron.tag(forms, allowed);
    for (std::size_t i = 0; i < tags.size(); ++i) {
      ++confusion.counts[index_of(sentence.words[i].tag)][index_of(tags[i])];
    }
  }
  return confusion;
}

double RawTextScore::words_f1() const { return f1(shared_words, gold_words, found_words); }
double RawTextScore::tags_f1() const { return f1(shared_tags, gold_words, found_words); }

RawTextScore evaluate_raw_text(const Perceptron& perceptron,
                               std::span<const ConlluSentence> treebank) {
  RawTextScore score;
  for (const ConlluSentence& sentence : treebank) {
    if (sentence.text.empty()) continue;
    const std::vector<TaggedWord> gold =
        align_conllu(std::span(&sentence, 1), "treebank", {sentence.text, "its text"});
    const std::vector<TaggedWord> found = tag_text(perceptron, sentence.text);
    score.gold_words += gold.size();
    score.found_words += found.size();
    std::map<std::pair<std::size_t, std::size_t>, UniversalTag> tags;
    for (const TaggedWord& word : gold) tags[{word.bytes.begin, word.bytes.end}] = word.tag;
    for (const TaggedWord& word : found) {
      const auto match = tags.find({word.bytes.begin, word.bytes.end});
      if (match == tags.end()) continue;
      ++score.shared_words;
      if (match->second == word.tag) ++score.shared_tags;
    }
  }
  return score;
}

}  // namespace longshadow
