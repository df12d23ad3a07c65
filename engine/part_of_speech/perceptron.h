#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/part_of_speech/features.h"
#include "engine/part_of_speech/lexicon.h"
#include "engine/part_of_speech/words/universal_tag.h"

namespace longshadow {

/// One number per word tag, by its value.
using TagScores = std::array<std::int32_t, kWordTags>;

/// The tag of the highest score among `allowed` (not empty), the first of equals.
UniversalTag best_tag(const TagScores& scores, TagSet allowed);

/// A linear tagger's weights: of each feature, for a few of the tags, in whole units of a step that
/// all share. Only sums of weights are compared, so the step itself is never needed, and sums are
/// exact.
class FeatureWeights {
 public:
  struct Entry {
    UniversalTag tag;
    std::int8_t weight;
  };

  FeatureWeights() : FeatureWeights({}, {0}, {}) {}
  /// The entries of features[i] are [first[i], first[i + 1]) of `entries`; features ascend.
  FeatureWeights(std::vector<Feature> features, std::vector<std::uint32_t> first,
                 std::vector<Entry> entries);

  /// Sums over those of the features that have weights.
  TagScores score(std::span<const Feature> features) const;

  std::size_t size() const { return features_.size(); }
  Feature feature(std::size_t index) const { return features_[index]; }
  std::span<const Entry> entries(std::size_t index) const {
    return std::span(entries_).subspan(first_[index], first_[index + 1] - first_[index]);
  }

 private:
  std::vector<Feature> features_;
  std::vector<std::uint32_t> first_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> directory_;  ///< where the features with given upper bits begin
};

/// A greedy averaged perceptron (Collins 2002): tags a sentence from left to right, each word by
/// the weights of its features, which see the two tags before.
struct Perceptron {
  Lexicon lexicon;
  FeatureWeights weights;

  /// One tag for each of the forms (well-formed UTF-8, none empty), from its own `allowed` set.
  std::vector<UniversalTag> tag(std::span<const std::string_view> forms,
                                std::span<const TagSet> allowed) const;
};

}  // namespace longshadow
