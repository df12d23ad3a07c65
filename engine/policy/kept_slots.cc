#include "engine/policy/kept_slots.h"

#include <algorithm>
#include <numeric>

namespace longshadow {

std::size_t KeptSlots::total() const {
  std::size_t count = 0;
  for (const auto& slots : by_head) count += slots.size();
  return count;
}

std::vector<std::vector<Range>> KeptSlots::removed() const {
  std::vector<std::vector<Range>> removed(by_head.size());
  for (std::size_t head = 0; head < by_head.size(); ++head) {
    std::size_t begin = 0;
    for (const std::size_t slot : by_head[head]) {
      if (begin < slot) removed[head].push_back({begin, slot});
      begin = slot + 1;
    }
    if (begin < n) removed[head].push_back({begin, n});
  }
  return removed;
}

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
