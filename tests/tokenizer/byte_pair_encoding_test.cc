#include "engine/tokenizer/encoding/byte_pair_encoding.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

namespace longshadow {
namespace {

using Merge = BytePairEncoding::Merge;

/// A word's bytes, each a token of its own value.
std::vector<Piece> bytes_of(const std::string& word) {
  std::vector<Piece> pieces;
  for (const unsigned char byte : word) pieces.push_back({byte, 1});
  return pieces;
}

/// The definition, word for word: find the best pair, merge its leftmost place, start over.
std::vector<TokenId> encode_slowly(const std::vector<Merge>& merges, const std::string& word) {
  std::vector<TokenId> ids;
  for (const unsigned char byte : word) ids.push_back(byte);
  while (true) {
    std::size_t best_rank = merges.size();
    std::size_t best_at = 0;
    for (std::size_t at = 0; at + 1 < ids.size(); ++at) {
      for (std::size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank].left == ids[at] && merges[rank].right == ids[at + 1]) {
          best_rank = rank;
          best_at = at;
        }
      }
    }
    if (best_rank == merges.size()) return ids;
    ids[best_at] = merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST_CASE("words are merged as the definition says") {
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 300; ++round) {
    // Random merges over three letters: many tie, overlap and depend on one another.
    std::vector<Merge> merges;
    std::map<std::pair<TokenId, TokenId>, bool> seen;
    std::vector<TokenId> tokens = {'a', 'b', 'c'};
    while (merges.size() < 12) {
      const TokenId left = tokens[below(tokens.size())];
      const TokenId right = tokens[below(tokens.size())];
      if (!seen.try_emplace({left, right}, true).second) continue;
      const auto result = static_cast<TokenId>(256 + merges.size());
      merges.push_back({left, right, result});
      tokens.push_back(result);
    }
    const BytePairEncoding encoding(merges);
    std::string word;
    for (std::size_t length = below(40); length > 0; --length) {
      word += static_cast<char>('a' + below(3));
    }
    INFO(word);
    std::vector<TokenId> ids;
    std::size_t bytes = 0;
    for (const auto& piece : encoding.encode(bytes_of(word))) {
      ids.push_back(piece.id);
      bytes += piece.bytes;
    }
    CHECK(ids == encode_slowly(merges, word));
    CHECK(bytes == word.size());
  }
}

TEST_CASE("nothing merges with a byte that has no token") {
  std::vector<Piece> word = bytes_of("abaxb");
  word[3].id = kNoToken;
  const BytePairEncoding encoding(std::vector<Merge>{{'a', 'b', 256}});
  std::vector<TokenId> ids;
  for (const auto& piece : encoding.encode(word)) ids.push_back(piece.id);
  CHECK(ids == std::vector<TokenId>{256, 'a', kNoToken, 'b'});
  CHECK(encoding.encode({}).empty());
}

TEST_CASE("a word of a million bytes is merged in time", "[long]") {
  const BytePairEncoding encoding(std::vector<Merge>{{'a', 'a', 256}, {256, 256, 257}});
  const auto pieces = encoding.encode(bytes_of(std::string(1'000'000, 'a')));
  REQUIRE(pieces.size() == 250'000);
  CHECK(pieces.back().id == 257);
}

}  // namespace
}  // namespace longshadow
