#include "probes/learning/rank_influence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/error.h"

namespace longshadow {
namespace {

/// Tokens from the highest score down; of equal ones the later comes first, as in top_slots().
std::vector<std::uint32_t> ranking(std::span<const double> scores, std::size_t n_sink) {
  std::vector<std::uint32_t> order(scores.size() - n_sink);
  std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(n_sink));
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a > b;
  });
  return order;
}

}  // namespace

std::vector<double> not_rising(std::span<const double> values) {
  struct Block {
    double sum;
    std::size_t size;
    double mean() const { return sum / static_cast<double>(size); }
  };
  std::vector<Block> blocks;
  for (const double value : values) {
    blocks.push_back({value, 1});
    while (blocks.size() > 1 && blocks.end()[-2].mean() < blocks.back().mean()) {
      blocks.end()[-2].sum += blocks.back().sum;
      blocks.end()[-2].size += blocks.back().size;
      blocks.pop_back();
    }
  }
  std::vector<double> falling;
  for (const Block& block : blocks) falling.insert(falling.end(), block.size, block.mean());
  return falling;
}

RankInfluence::RankInfluence(const CacheShape& shape, std::size_t n, std::size_t n_sink)
    : shape_(shape),
      n_(n),
      n_sink_(n_sink),
      sums_(shape.n_layers * shape.n_kv_heads * (n - n_sink)) {}

void RankInfluence::add(std::span<const TokenScores> layers, std::span<const double> influence) {
  const std::size_t n_heads = shape_.n_layers * shape_.n_kv_heads, n_ranks = n_ - n_sink_;
  double sum = 0;
  for (std::size_t head = 0; head < n_heads; ++head) {
    const auto of_head = influence.subspan(head * n_ + n_sink_, n_ranks);
    sum = std::accumulate(of_head.begin(), of_head.end(), sum);
  }
  if (!(sum > 0)) throw Error("a sketch by KV head without any influence; nothing can be learnt");
  for (std::size_t head = 0; head < n_heads; ++head) {
    const TokenScores& scores = layers[head / shape_.n_kv_heads];
    const auto order = ranking(scores.head(head % shape_.n_kv_heads), n_sink_);
    for (std::size_t rank = 0; rank < n_ranks; ++rank) {
      sums_[head * n_ranks + rank] += influence[head * n_ + order[rank]] / sum;
    }
  }
}

std::vector<std::size_t> RankInfluence::slots(std::size_t total) const {
  const std::size_t n_heads = shape_.n_layers * shape_.n_kv_heads, n_ranks = n_ - n_sink_;
  std::vector<double> falling;  // [L, K, ranks]
  for (std::size_t head = 0; head < n_heads; ++head) {
    const auto of_head = not_rising(std::span(sums_).subspan(head * n_ranks, n_ranks));
    falling.insert(falling.end(), of_head.begin(), of_head.end());
  }
  std::vector<std::size_t> pairs(falling.size());
  std::iota(pairs.begin(), pairs.end(), std::size_t{0});
  const std::size_t beyond_sinks = total - n_heads * n_sink_;
  std::nth_element(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(beyond_sinks),
                   pairs.end(), [&](std::size_t a, std::size_t b) {
                     if (falling[a] != falling[b]) return falling[a] > falling[b];
                     if (a % n_ranks != b % n_ranks) return a % n_ranks < b % n_ranks;
                     return a < b;
                   });
  std::vector<std::size_t> slots(n_heads, n_sink_);
  for (std::size_t i = 0; i < beyond_sinks; ++i) ++slots[pairs[i] / n_ranks];
  return slots;
}

HeadBudgets head_budgets(const RankInfluence& influence, const CacheShape& shape, std::size_t n,
                         std::size_t n_sink, std::span<const double> budgets) {
  const std::size_t n_heads = shape.n_layers * shape.n_kv_heads;
  HeadBudgets table{shape, {}, {}};
  for (const double budget : budgets) {
    const auto slots_in_all = static_cast<double>(n_heads * n);
    const std::size_t total = std::max(static_cast<std::size_t>(std::lround(budget * slots_in_all)),
                                       n_heads * std::max(n_sink, std::size_t{1}));
    const double mean = static_cast<double>(total) / slots_in_all;
    if (!table.budgets.empty() && mean <= table.budgets.back()) continue;
    table.budgets.push_back(mean);
    for (const std::size_t slots : influence.slots(total)) {
      table.shares.push_back(static_cast<double>(slots) / static_cast<double>(n));
    }
  }
  return table;
}

}  // namespace longshadow
