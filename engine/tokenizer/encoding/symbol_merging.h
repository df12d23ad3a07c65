#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <span>
#include <tuple>
#include <vector>

#include "engine/tokenizer/definition/token.h"

namespace longshadow {

/// A token of a word, or kNoToken, and how many of the word's bytes it takes.
struct Piece {
  TokenId id;
  std::size_t bytes;
};

/// What two neighbours become.
struct Merged {
  double order;  ///< the lowest is merged first, the leftmost among equals
  TokenId result;
};

/// Merges the best pair of neighbours anywhere in a word until there is none: O(n log n) in its
/// pieces. `find_merge(left, right, begin)` gives std::optional<Merged> for two neighbouring pieces
/// of which the left begins at that byte of the word.
template <class FindMerge>
std::vector<Piece> merge_pieces(std::span<const Piece> pieces, const FindMerge& find_merge) {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  /// Linked to its neighbours. Merged into its left neighbour, it has no bytes left.
  struct Symbol {
    Piece piece;
    std::size_t begin;
    std::size_t previous;
    std::size_t next;
  };
  /// A merge that was possible when it was queued.
  struct Candidate {
    double order;
    std::size_t left;
    std::size_t right;
    std::size_t bytes;  ///< of both together, which tells whether either has changed since
    TokenId result;

    bool operator>(const Candidate& other) const {
      return std::tie(order, left) > std::tie(other.order, other.left);
    }
  };

  std::vector<Symbol> symbols;
  symbols.reserve(pieces.size());
  std::size_t begin = 0;
  for (const Piece& piece : pieces) {
    const std::size_t k = symbols.size();
    symbols.push_back(
        {piece, begin, k == 0 ? kNone : k - 1, k + 1 == pieces.size() ? kNone : k + 1});
    begin += piece.bytes;
  }

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::size_t left, std::size_t right) {
    if (left == kNone || right == kNone) return;
    const Piece& a = symbols[left].piece;
    const Piece& b = symbols[right].piece;
    if (const std::optional<Merged> merged = find_merge(a, b, symbols[left].begin)) {
      queue.push({merged->order, left, right, a.bytes + b.bytes, merged->result});
    }
  };
  for (std::size_t k = 0; k + 1 < symbols.size(); ++k) consider(k, k + 1);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    const bool stale = left.piece.bytes == 0 || left.next != best.right ||
                       left.piece.bytes + right.piece.bytes != best.bytes;
    if (stale) continue;
    left.piece = {best.result, best.bytes};
    left.next = right.next;
    right.piece.bytes = 0;
    if (left.next != kNone) symbols[left.next].previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }

  std::vector<Piece> merged;
  for (std::size_t k = symbols.empty() ? kNone : 0; k != kNone; k = symbols[k].next) {
    merged.push_back(symbols[k].piece);
  }
  return merged;
}

}  // namespace longshadow
