#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/io/tokenizer.h"

namespace longshadow {

/// Byte-pair encoding (Sennrich, Haddow and Birch 2016) that starts from single bytes.
class BytePairEncoding {
 public:
  static constexpr TokenId kNoToken = -1;

  /// Two neighbouring tokens and the token they become.
  struct Merge {
    TokenId left;
    TokenId right;
    TokenId result;
  };

  /// A token of a word and how many of the word's bytes it takes.
  struct Piece {
    TokenId id;
    std::size_t bytes;
  };

  /// `byte_tokens[b]` is the token of byte b, or kNoToken. `merges` are distinct pairs, best first.
  BytePairEncoding(const std::array<TokenId, 256>& byte_tokens, std::span<const Merge> merges);

  /// Applies the best merge anywhere in `word`, the leftmost among equals, until none is left:
  /// O(n log n) in the word's bytes. A byte without a token is a piece with kNoToken that nothing
  /// merges with.
  std::vector<Piece> encode(std::string_view word) const;

 private:
  struct RankedResult {
    std::uint32_t rank;
    TokenId result;
  };

  const RankedResult* find_merge(TokenId left, TokenId right) const;

  std::array<TokenId, 256> byte_tokens_;
  std::unordered_map<std::uint64_t, RankedResult> merges_;
};

}  // namespace longshadow
