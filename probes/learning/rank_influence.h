#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/policies/learned/head_budgets.h"
#include "engine/policy/policy.h"
#include "engine/policy/token_scores.h"

namespace longshadow {

/// The nearest sequence, by squares, that does not rise: pool adjacent violators.
std::vector<double> not_rising(std::span<const double> values);

/// How much influence a ranking puts at each of its ranks, by layer and KV head, in the mean over
/// documents. A head whose ranking is good has it all at the first ranks and needs few slots; one
/// whose ranking says nothing has it everywhere.
///
/// The mean is of square roots. To second order the divergence that a set of tokens causes is half
/// the mean square of a sum over its tokens (data/FORMAT.md, `sketch/g`), so that roots of
/// influence add where influences do not; and one token that is half of a document's influence does
/// not speak for all documents.
class RankInfluence {
 public:
  /// Documents have n tokens. Of each the first n_sink tokens come before all others, and their
  /// influence counts nothing: no policy drops them.
  RankInfluence(const CacheShape& shape, std::size_t n, std::size_t n_sink);

  /// layers [L]: the ranking's scores; influence [L, K, n] nats, of tokens that leave one KV head
  /// of one layer alone. Every document counts alike: its influence is taken as shares of its sum.
  void add(std::span<const TokenScores> layers, std::span<const double> influence);

  /// Slots of each KV head, [L, K] with `total` in all: `least` for every head, sinks among them,
  /// and then the (head, rank) pairs of the highest mean root, which along the ranks of a head is
  /// made not to rise. Of equal pairs the lower rank comes first, then the first head. `least` is
  /// at least n_sink, and `total` as much as it asks for, and at most all.
  std::vector<std::size_t> slots(std::size_t total, std::size_t least) const;

 private:
  CacheShape shape_;
  std::size_t n_, n_sink_;
  std::vector<double> sums_;  ///< [L, K, n - n_sink] of roots, by rank behind the sinks
};

/// What every head keeps, sinks among it, of a budget that holds as much: heads that have little
/// influence each lose their newest tokens too, whose influence is near.
inline constexpr std::size_t kLeastSlots = 16;

/// A table of budgets from the slots at shares of about these, each [L, K] slots of n tokens.
HeadBudgets head_budgets(const RankInfluence& influence, const CacheShape& shape, std::size_t n,
                         std::size_t n_sink, std::span<const double> budgets);

}  // namespace longshadow
