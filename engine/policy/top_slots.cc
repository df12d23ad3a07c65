#include "engine/policy/top_slots.h"

#include <algorithm>
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

KeptSlots top_slots_by_head(const TokenScores& scores, std::size_t count) {
  KeptSlots kept{scores.n(), {}};
  for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
    kept.by_head.push_back(top_slots(scores.head(head), count));
  }
  return kept;
}

}  // namespace longshadow
