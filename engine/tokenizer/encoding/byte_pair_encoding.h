#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/definition/token.h"
#include "engine/tokenizer/encoding/symbol_merging.h"

namespace longshadow {

/// Byte-pair encoding by a list of merges (Sennrich, Haddow and Birch 2016).
class BytePairEncoding {
 public:
  /// Two neighbouring tokens and the token they become.
  struct Merge {
    TokenId left;
    TokenId right;
    TokenId result;
  };

  /// `merges` are distinct pairs, best first.
  explicit BytePairEncoding(std::span<const Merge> merges);

  /// Applies the best merge anywhere in the word that these pieces are, the leftmost among equals,
  /// until none is left. Nothing merges with kNoToken.
  std::vector<Piece> encode(std::span<const Piece> word) const;

 private:
  std::unordered_map<std::uint64_t, Merged> merges_;
};

}  // namespace longshadow
