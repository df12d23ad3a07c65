#include "engine/io/byte_pair_encoding.h"

#include <functional>
#include <queue>
#include <tuple>

namespace longshadow {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

std::uint64_t pair_key(TokenId left, TokenId right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

/// A token of the word under work, linked to its neighbours. Merged into its left neighbour, it has
/// no bytes left.
struct Symbol {
  TokenId id;
  std::size_t bytes;
  std::size_t previous;
  std::size_t next;
};

/// A merge that was possible when it was queued.
struct Candidate {
  std::uint32_t rank;
  std::size_t left;
  std::size_t right;
  std::size_t bytes;  ///< of both symbols together, which tells whether either has changed since
  TokenId result;

  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

BytePairEncoding::BytePairEncoding(const std::array<TokenId, 256>& byte_tokens,
                                   std::span<const Merge> merges)
    : byte_tokens_(byte_tokens) {
  merges_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const Merge& merge : merges) {
    merges_.try_emplace(pair_key(merge.left, merge.right), RankedResult{rank++, merge.result});
  }
}

const BytePairEncoding::RankedResult* BytePairEncoding::find_merge(TokenId left,
                                                                   TokenId right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<BytePairEncoding::Piece> BytePairEncoding::encode(std::string_view word) const {
  std::vector<Symbol> symbols(word.size());
  for (std::size_t k = 0; k < word.size(); ++k) {
    symbols[k] = {byte_tokens_[static_cast<unsigned char>(word[k])], 1, k == 0 ? kNone : k - 1,
                  k + 1 == word.size() ? kNone : k + 1};
  }

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::size_t left, std::size_t right) {
    if (left == kNone || right == kNone) return;
    if (const RankedResult* merge = find_merge(symbols[left].id, symbols[right].id)) {
      queue.push(
          {merge->rank, left, right, symbols[left].bytes + symbols[right].bytes, merge->result});
    }
  };
  for (std::size_t k = 0; k + 1 < symbols.size(); ++k) consider(k, k + 1);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    const bool stale =
        left.bytes == 0 || left.next != best.right || left.bytes + right.bytes != best.bytes;
    if (stale) continue;
    left = {best.result, best.bytes, left.previous, right.next};
    right.bytes = 0;
    if (left.next != kNone) symbols[left.next].previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }

  std::vector<Piece> pieces;
  for (std::size_t k = 0; k < symbols.size(); k = symbols[k].next) {
    pieces.push_back({symbols[k].id, symbols[k].bytes});
    if (symbols[k].next == kNone) break;
  }
  return pieces;
}

}  // namespace longshadow
