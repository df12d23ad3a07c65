#include "engine/part_of_speech/perceptron.h"

#include <catch2/catch.hpp>
#include <string_view>
#include <vector>

#include "engine/part_of_speech/words/word_form.h"
#include "tests/part_of_speech/treebank.h"

namespace longshadow {
namespace {

using enum UniversalTag;

std::vector<UniversalTag> tag(const Perceptron& perceptron,
                              const std::vector<std::string_view>& forms,
                              TagSet allowed = TagSet::all()) {
  return perceptron.tag(forms, std::vector<TagSet>(forms.size(), allowed));
}

TEST_CASE("the best tag is the first of the highest among those allowed") {
  TagScores scores{};
  scores[index_of(noun)] = scores[index_of(verb)] = 3;
  scores[index_of(x)] = 9;
  CHECK(best_tag(scores, TagSet::all()) == x);
  CHECK(best_tag(scores, {verb, noun}) == noun);
  CHECK(best_tag(scores, {sym}) == sym);
}

TEST_CASE("weights of features add up, and features without weights count for nothing") {
  // Two features in one bucket of the directory, one in another.
  const FeatureWeights weights({7, 8, 0xffffffff}, {0, 2, 3, 5},
                               {{noun, 5}, {verb, -5}, {noun, 2}, {x, 127}, {x, 3}});
  const std::vector<Feature> features{8, 7, 0xffffffff, 6, 9, 0x10000};
  const TagScores scores = weights.score(features);
  CHECK(scores[index_of(noun)] == 7);
  CHECK(scores[index_of(verb)] == -5);
  CHECK(scores[index_of(x)] == 130);
  CHECK(FeatureWeights().score(features) == TagScores{});
}

TEST_CASE("the tagger learns what it was taught") {
  const Perceptron perceptron = test::small_perceptron();
  for (const ConlluSentence& sentence : test::small_treebank()) {
    std::vector<std::string_view> forms;
    std::vector<UniversalTag> gold;
    for (const ConlluWord& word : sentence.words) {
      forms.push_back(word.form);
      gold.push_back(word.tag);
    }
    CHECK(tag(perceptron, forms) == gold);
  }
  CHECK(tag(perceptron, {"The", "dog", "sees", "Anna", "."}) ==
        std::vector<UniversalTag>{det, noun, verb, propn, punct});
  CHECK(tag(perceptron, {"the", "cat"}, {sym, x}).size() == 2);
  CHECK(tag(perceptron, {}).empty());
}

TEST_CASE("training twice gives the same weights, another seed others") {
  const auto weights_of = [](const Perceptron& perceptron) {
    std::vector<std::pair<Feature, int>> weights;
    for (std::size_t i = 0; i < perceptron.weights.size(); ++i) {
      for (const auto entry : perceptron.weights.entries(i)) {
        weights.emplace_back(perceptron.weights.feature(i), entry.weight);
      }
    }
    return weights;
  };
  CHECK(weights_of(test::small_perceptron()) == weights_of(test::small_perceptron()));
  CHECK(weights_of(test::small_perceptron()) != weights_of(test::small_perceptron(2)));
}

TEST_CASE("a word's ambiguity class is kept from ten times on, and it is rare up to five") {
  ConlluSentence sentence;
  const auto add = [&](const std::string& form, UniversalTag tag, int times) {
    for (int i = 0; i < times; ++i) sentence.words.push_back({form, tag});
  };
  add("five", num, 5);
  add("nine", num, 9);
  add("Run", verb, 6);
  add("run", noun, 4);
  const Lexicon lexicon = Lexicon::count(std::span(&sentence, 1));
  const auto entry = [&](const char* form) { return lexicon.find(hash_of(form)); };
  CHECK(entry("unseen").rare);
  CHECK(entry("five").rare);
  CHECK_FALSE(entry("nine").rare);
  CHECK(entry("nine").tags.empty());
  CHECK(entry("run").tags == TagSet{noun, verb});
}

}  // namespace
}  // namespace longshadow
