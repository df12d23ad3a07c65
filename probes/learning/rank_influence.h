#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/policy/head_budgets.h"
#include "engine/policy/policy.h"
#include "engine/policy/token_scores.h"

namespace longshadow {

/// The nearest sequence, by squares, that does not rise: pool adjacent violators.
std::vector<double> not_rising(std::span<const double> values);

/// How much influence a ranking puts at each of its ranks, by layer and KV head, in the mean over
/// documents. A head whose ranking is good has it all at the first ranks and needs few slots; one
/// whose ranking says nothing has it everywhere.
class RankInfluence {
 public:
  /// Documents have n tokens. Of each the first n_sink tokens come before all others, and their
  /// influence counts nothing: no policy drops them.
  RankInfluence(const CacheShape& shape, std::size_t n, std::size_t n_sink);

  /// layers [L]: the ranking's scores; influence [L, K, n] nats, of tokens that leave one KV head
  /// of one layer alone. Every document counts alike: its influence is taken as shares of its sum.
  void add(std::span<const TokenScores> layers, std::span<const double> influence);

  /// Slots of each KV head, [L, K] with `total` in all: the sinks of every head, and then the
  /// (head, rank) pairs of the highest influence, which along the ranks of a head is made not to
  /// rise. Of equal pairs the lower rank comes first, then the first head. `total` is at least what
  /// the sinks take, and at most all.
  std::vector<std::size_t> slots(std::size_t total) const;

 private:
  CacheShape shape_;
  std::size_t n_, n_sink_;
  std::vector<double> sums_;  ///< [L, K, n - n_sink] by rank behind the sinks
};

/// A table of budgets from the slots at shares of about these, each [L, K] slots of n tokens.
HeadBudgets head_budgets(const RankInfluence& influence, const CacheShape& shape, std::size_t n,
                         std::size_t n_sink, std::span<const double> budgets);

}  // namespace longshadow
