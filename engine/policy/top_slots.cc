#include "engine/policy/top_slots.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace longshadow {

std::vector<std::uint32_t> top_slots(std::span<const double> scores, std::size_t count) {
  std::vector<std::uint32_t> slots(scores.size());
  std::iota(slots.begin(), slots.end(), 0u);
  const auto end = slots.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(slots.begin(), end, slots.end(), [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a > b;
  });
  slots.resize(count);
  std::sort(slots.begin(), slots.end());
  return slots;
}

std::vector<KeptSlots> top_slots_by_head(std::span<const TokenScores> layers,
                                         std::span<const std::size_t> counts) {
  std::vector<KeptSlots> kept;
  auto count = counts.begin();
  for (const TokenScores& scores : layers) {
    kept.push_back({scores.n(), {}});
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      kept.back().by_head.push_back(top_slots(scores.head(head), *count++));
    }
  }
  return kept;
}

std::vector<KeptSlots> top_slots_together(std::span<const TokenScores> layers, std::size_t count,
                                          std::size_t sure) {
  std::vector<double> ranked;  // [L K n]
  std::vector<KeptSlots> kept;
  for (const TokenScores& scores : layers) {
    kept.push_back({scores.n(), std::vector<std::vector<std::uint32_t>>(scores.n_kv_heads())});
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      const auto of_head = scores.head(head);
      const std::size_t begin = ranked.size();
      ranked.insert(ranked.end(), of_head.begin(), of_head.end());
      for (const std::size_t slot : top_slots(of_head, sure)) {
        ranked[begin + slot] = std::numeric_limits<double>::infinity();
      }
    }
  }
  const std::size_t n = layers.front().n(), n_kv_heads = layers.front().n_kv_heads();
  for (const std::size_t place : top_slots(ranked, count)) {
    const std::size_t head = place / n;
    kept[head / n_kv_heads].by_head[head % n_kv_heads].push_back(
        static_cast<std::uint32_t>(place % n));
  }
  return kept;
}

}  // namespace longshadow
