#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/prefix_tree.h"
#include "engine/tokenizer/definition/token.h"
#include "engine/tokenizer/encoding/symbol_merging.h"

namespace longshadow {

/// The unigram language model's encoding (Kudo 2018), as the `tokenizers` package runs it: of all
/// ways to cut a word into tokens, the one of the highest sum of scores (Viterbi's algorithm).
class UnigramEncoding {
 public:
  /// `scores[id]` is finite and belongs to the token `spellings[id]`; spellings are distinct. The
  /// token `unknown` stands for characters without a token, and is none itself.
  UnigramEncoding(std::span<const std::optional<std::string>> spellings,
                  std::span<const double> scores, std::optional<TokenId> unknown);

  /// The tokens of a word; neighbouring characters that are in none are together one kNoToken.
  std::vector<Piece> encode(std::string_view word) const;

 private:
  /// The best way found so far to cut a word up to some byte: its score and its last token.
  struct Path {
    double score = 0.0;
    std::size_t token_bytes = 0;  ///< 0 as long as no way is found
    TokenId token = kNoToken;
  };

  std::vector<Path> best_paths(std::string_view word) const;
  std::optional<TokenId> find(std::string_view spelling) const;

  std::vector<TokenId> ids_;  ///< by place in the tree
  PrefixTree spellings_;
  std::vector<double> scores_;  ///< by id
  std::optional<TokenId> unknown_;
  double unknown_score_;
};

}  // namespace longshadow
