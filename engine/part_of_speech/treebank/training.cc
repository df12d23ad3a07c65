#include "engine/part_of_speech/treebank/training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace longshadow {
namespace {

/// The weight of a feature for a tag while it is being learnt, and what its mean is made of.
struct LearntWeight {
  UniversalTag tag;
  std::int32_t weight = 0;
  std::int64_t sum = 0;        ///< of the weight over the words seen up to `summed_to`
  std::int64_t summed_to = 0;  ///< in words
};

/// Weights of features for tags, ascending.
using WeightTable = std::map<std::pair<Feature, UniversalTag>, double>;

class Learner {
 public:
  TagScores score(std::span<const Feature> features) const {
    TagScores scores{};
    for (const Feature feature : features) {
      const auto row = rows_.find(feature);
      if (row == rows_.end()) continue;
      for (const LearntWeight& learnt : row->second) scores[index_of(learnt.tag)] += learnt.weight;
    }
    return scores;
  }

  void learn(std::span<const Feature> features, UniversalTag gold, UniversalTag guess) {
    ++words_;
    if (guess == gold) return;
    for (const Feature feature : features) {
      auto& row = rows_[feature];
      change(row, gold, 1);
      change(row, guess, -1);
    }
  }

  /// Adds the mean of each weight over all words seen.
  void add_means(WeightTable& sums) const {
    for (const auto& [feature, row] : rows_) {
      for (const LearntWeight& learnt : row) {
        const std::int64_t sum = learnt.sum + learnt.weight * (words_ - learnt.summed_to);
        sums[{feature, learnt.tag}] += static_cast<double>(sum) / static_cast<double>(words_);
      }
    }
  }

 private:
  void change(std::vector<LearntWeight>& row, UniversalTag tag, std::int32_t by) {
    auto learnt = std::find_if(row.begin(), row.end(),
                               [&](const LearntWeight& other) { return other.tag == tag; });
    if (learnt == row.end()) learnt = row.insert(row.end(), LearntWeight{tag});
    learnt->sum += learnt->weight * (words_ - learnt->summed_to);
    learnt->summed_to = words_;
    learnt->weight += by;
  }

  std::unordered_map<Feature, std::vector<LearntWeight>> rows_;
  std::int64_t words_ = 0;
};

/// Fisher and Yates' shuffle, spelled out because std::shuffle differs between libraries.
void shuffle(std::vector<std::size_t>& order, std::mt19937_64& random) {
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
}

/// Rounds the weights to whole steps, a weight beyond one entry's range taking several, and drops
/// those that round to none.
FeatureWeights quantise(const WeightTable& table, double step) {
  constexpr long kMost = std::numeric_limits<std::int8_t>::max();
  std::vector<Feature> features;
  std::vector<std::uint32_t> first;
  std::vector<FeatureWeights::Entry> entries;
  for (const auto& [key, weight] : table) {
    const auto [feature, tag] = key;
    long steps = std::lround(weight / step);
    if (steps == 0) continue;
    if (features.empty() || features.back() != feature) {
      features.push_back(feature);
      first.push_back(static_cast<std::uint32_t>(entries.size()));
    }
    while (steps != 0) {
      const long part = std::clamp(steps, -kMost, kMost);
      entries.push_back({tag, static_cast<std::int8_t>(part)});
      steps -= part;
    }
  }
  first.push_back(static_cast<std::uint32_t>(entries.size()));
  return {std::move(features), std::move(first), std::move(entries)};
}

using Sentence = std::vector<WordAttributes>;

std::vector<Sentence> sentences_of(std::span<const ConlluSentence> treebank,
                                   const Lexicon& lexicon) {
  std::vector<Sentence> sentences;
  for (const ConlluSentence& sentence : treebank) {
    Sentence& words = sentences.emplace_back();
    for (const ConlluWord& word : sentence.words) {
      words.push_back(attributes_of(word.form, lexicon));
    }
  }
  return sentences;
}

/// The features that at least `min_count` words have, given the gold tags before them.
std::unordered_set<Feature> frequent_features(std::span<const ConlluSentence> treebank,
                                              std::span<const Sentence> sentences,
                                              std::size_t min_count) {
  std::unordered_map<Feature, std::size_t> counts;
  for (std::size_t s = 0; s < treebank.size(); ++s) {
    SentenceFeatures features(sentences[s]);
    TagHistory history;
    for (std::size_t i = 0; i < sentences[s].size(); ++i) {
      for (const Feature feature : features.at(i, history)) ++counts[feature];
      history = history.then(treebank[s].words[i].tag);
    }
  }
  std::unordered_set<Feature> frequent;
  for (const auto& [feature, count] : counts) {
    if (count >= min_count) frequent.insert(feature);
  }
  return frequent;
}

/// Learns one sentence, going by its own guesses; returns how many were right.
std::size_t learn_sentence(Learner& learner, const ConlluSentence& gold, const Sentence& words,
                           const std::unordered_set<Feature>& frequent) {
  SentenceFeatures sentence(words);
  TagHistory history;
  std::vector<Feature> features;
  std::size_t right = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    features.clear();
    for (const Feature feature : sentence.at(i, history)) {
      if (frequent.contains(feature)) features.push_back(feature);
    }
    const UniversalTag guess = best_tag(learner.score(features), TagSet::all());
    learner.learn(features, gold.words[i].tag, guess);
    history = history.then(guess);
    if (guess == gold.words[i].tag) ++right;
  }
  return right;
}

}  // namespace

Perceptron train_perceptron(std::span<const ConlluSentence> treebank,
                            const TrainingOptions& options,
                            const std::function<void(const TrainingProgress&)>& report) {
  const Lexicon lexicon = Lexicon::count(treebank);
  const std::vector<Sentence> sentences = sentences_of(treebank, lexicon);
  const auto frequent = frequent_features(treebank, sentences, options.min_count);
  std::size_t words = 0;
  for (const Sentence& sentence : sentences) words += sentence.size();

  std::mt19937_64 random(options.seed);
  std::vector<std::size_t> order(treebank.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  WeightTable sums;
  for (std::size_t member = 1; member <= options.members; ++member) {
    Learner learner;
    for (std::size_t epoch = 1; epoch <= options.epochs; ++epoch) {
      shuffle(order, random);
      std::size_t right = 0;
      for (const std::size_t s : order) {
        right += learn_sentence(learner, treebank[s], sentences[s], frequent);
      }
      report({member, epoch, static_cast<double>(right) / static_cast<double>(words)});
    }
    learner.add_means(sums);
  }
  return {lexicon, quantise(sums, options.step * static_cast<double>(options.members))};
}

}  // namespace longshadow
