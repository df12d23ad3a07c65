#include "engine/part_of_speech/perceptron.h"

#include <utility>

namespace longshadow {
namespace {

/// Features whose upper 16 bits agree lie together, some five of them: one step through the
/// directory and a few comparisons find a feature, with no table to build but this one.
constexpr std::uint32_t kDirectoryShift = 16;
constexpr std::size_t kDirectorySize = std::size_t{1} << (32 - kDirectoryShift);

std::vector<std::uint32_t> directory_of(std::span<const Feature> features) {
  std::vector<std::uint32_t> directory(kDirectorySize + 1);
  for (const Feature feature : features) ++directory[(feature >> kDirectoryShift) + 1];
  for (std::size_t i = 1; i <= kDirectorySize; ++i) directory[i] += directory[i - 1];
  return directory;
}

}  // namespace

UniversalTag best_tag(const TagScores& scores, TagSet allowed) {
  std::size_t best = kWordTags;
  for (std::size_t tag = 0; tag < kWordTags; ++tag) {
    if (!allowed.contains(static_cast<UniversalTag>(tag))) continue;
    if (best == kWordTags || scores[tag] > scores[best]) best = tag;
  }
  return static_cast<UniversalTag>(best);
}

FeatureWeights::FeatureWeights(std::vector<Feature> features, std::vector<std::uint32_t> first,
                               std::vector<Entry> entries)
    : features_(std::move(features)),
      first_(std::move(first)),
      entries_(std::move(entries)),
      directory_(directory_of(features_)) {}

TagScores FeatureWeights::score(std::span<const Feature> features) const {
  TagScores scores{};
  for (const Feature feature : features) {
    const std::size_t bucket = feature >> kDirectoryShift;
    const std::uint32_t end = directory_[bucket + 1];
    std::uint32_t at = directory_[bucket];
    while (at < end && features_[at] < feature) ++at;
    if (at == end || features_[at] != feature) continue;
    for (const Entry entry : entries(at)) scores[index_of(entry.tag)] += entry.weight;
  }
  return scores;
}

std::vector<UniversalTag> Perceptron::tag(std::span<const std::string_view> forms,
                                          std::span<const TagSet> allowed) const {
  std::vector<WordAttributes> words;
  words.reserve(forms.size());
  for (const std::string_view form : forms) words.push_back(attributes_of(form, lexicon));
  SentenceFeatures features(words);
  TagHistory history;
  std::vector<UniversalTag> tags;
  tags.reserve(forms.size());
  for (std::size_t i = 0; i < forms.size(); ++i) {
    tags.push_back(best_tag(weights.score(features.at(i, history)), allowed[i]));
    history = history.then(tags.back());
  }
  return tags;
}

}  // namespace longshadow
