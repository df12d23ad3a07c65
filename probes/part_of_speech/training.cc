#include "probes/part_of_speech/training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <unordered_map>
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

struct MeanWeight {
  Feature feature;
  UniversalTag tag;
  double weight;
};

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

  /// The mean of each weight over all words seen.
  std::vector<MeanWeight> means() const {
    std::vector<MeanWeight> means;
    for (const auto& [feature, row] : rows_) {
      for (const LearntWeight& learnt : row) {
        const std::int64_t sum = learnt.sum + learnt.weight * (words_ - learnt.summed_to);
        means.push_back(
            {feature, learnt.tag, static_cast<double>(sum) / static_cast<double>(words_)});
      }
    }
    return means;
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
FeatureWeights quantise(std::vector<MeanWeight> means, double step) {
  std::sort(means.begin(), means.end(), [](const MeanWeight& a, const MeanWeight& b) {
    return std::pair(a.feature, a.tag) < std::pair(b.feature, b.tag);
  });
  constexpr long kMost = std::numeric_limits<std::int8_t>::max();
  std::vector<Feature> features;
  std::vector<std::uint32_t> first;
  std::vector<FeatureWeights::Entry> entries;
  for (const MeanWeight& mean : means) {
    long steps = std::lround(mean.weight / step);
    if (steps == 0) continue;
    if (features.empty() || features.back() != mean.feature) {
      features.push_back(mean.feature);
      first.push_back(static_cast<std::uint32_t>(entries.size()));
    }
    while (steps != 0) {
      const long part = std::clamp(steps, -kMost, kMost);
      entries.push_back({mean.tag, static_cast<std::int8_t>(part)});
      steps -= part;
    }
  }
  first.push_back(static_cast<std::uint32_t>(entries.size()));
  return {std::move(features), std::move(first), std::move(entries)};
}

}  // namespace

Perceptron train_perceptron(std::span<const ConlluSentence> treebank,
                            const TrainingOptions& options,
                            const std::function<void(std::size_t, double)>& report) {
  const Lexicon lexicon = Lexicon::count(treebank);
  std::vector<std::vector<WordAttributes>> sentences;
  for (const ConlluSentence& sentence : treebank) {
    auto& words = sentences.emplace_back();
    for (const ConlluWord& word : sentence.words) {
      words.push_back(attributes_of(word.form, lexicon));
    }
  }
  std::vector<std::size_t> order(treebank.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(options.seed);
  Learner learner;
  for (std::size_t epoch = 1; epoch <= options.epochs; ++epoch) {
    shuffle(order, random);
    std::size_t right = 0;
    std::size_t words = 0;
    for (const std::size_t s : order) {
      SentenceFeatures sentence(sentences[s]);
      TagHistory history;
      for (std::size_t i = 0; i < sentences[s].size(); ++i) {
        const std::span<const Feature> features = sentence.at(i, history);
        const UniversalTag gold = treebank[s].words[i].tag;
        const UniversalTag guess = best_tag(learner.score(features), TagSet::all());
        learner.learn(features, gold, guess);
        history = history.then(guess);
        right += guess == gold ? 1 : 0;
        ++words;
      }
    }
    report(epoch, static_cast<double>(right) / static_cast<double>(words));
  }
  return {lexicon, quantise(learner.means(), options.step)};
}

}  // namespace longshadow
