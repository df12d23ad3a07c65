#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "probes/part_of_speech/conllu.h"
#include "probes/part_of_speech/perceptron.h"

namespace longshadow {

struct TrainingOptions {
  std::size_t epochs = 6;
  std::uint64_t seed = 1;  ///< of the order of sentences, new in each epoch
  double step = 0.05;      ///< that weights are rounded to; they have about 1
};

/// Trains on a treebank, with averaged weights: each is its mean over all words seen, which is
/// summed lazily, when a weight changes. The same treebank and options give the same result.
/// After each epoch `report` is told its number, from 1, and the share of words tagged right in it.
Perceptron train_perceptron(std::span<const ConlluSentence> treebank,
                            const TrainingOptions& options,
                            const std::function<void(std::size_t, double)>& report);

}  // namespace longshadow
