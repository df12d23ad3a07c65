#pragma once

#include <string>
#include <vector>

#include "engine/io/mapped_file.h"
#include "engine/part_of_speech/conllu.h"
#include "engine/part_of_speech/treebank/training.h"

namespace longshadow::test {

/// Three sentences of our own.
inline const std::string kTreebank = LONGSHADOW_FIXTURES "/part_of_speech/sentences.conllu";

inline std::string read_text(const std::string& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

inline std::vector<ConlluSentence> small_treebank() {
  return read_conllu(read_text(kTreebank), kTreebank);
}

inline Perceptron small_perceptron(std::uint64_t seed = 1) {
  TrainingOptions options;
  options.seed = seed;
  options.min_count = 1;
  return train_perceptron(small_treebank(), options, [](const TrainingProgress&) {});
}

}  // namespace longshadow::test
