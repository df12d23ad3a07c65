#pragma once

#include <string_view>
#include <vector>

#include "engine/tokenizer/encoding/symbol_merging.h"
#include "engine/tokenizer/encoding/vocabulary.h"

namespace longshadow {

/// SentencePiece's byte-pair encoding (Kudo and Richardson 2018), as llama.cpp runs it: two
/// neighbours merge where their text together is a token, the token of the highest score first.
class ScoredEncoding {
 public:
  /// `scores[id]` are finite; the vocabulary must outlive this object.
  ScoredEncoding(const Vocabulary& vocabulary, std::vector<double> scores);

  /// The tokens of a word; characters that are in none are kNoToken.
  std::vector<Piece> encode(std::string_view word) const;

 private:
  const Vocabulary& vocabulary_;
  std::vector<double> scores_;
};

}  // namespace longshadow
