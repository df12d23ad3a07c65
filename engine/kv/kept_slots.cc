#include "engine/kv/kept_slots.h"

#include <span>

#include "engine/core/require.h"

namespace longshadow {

std::size_t KeptSlots::total() const {
  std::size_t count = 0;
  for (const auto& slots : by_head) count += slots.size();
  return count;
}

std::vector<std::vector<Range>> KeptSlots::removed() const {
  std::vector<std::vector<Range>> removed(by_head.size());
  for (std::size_t head = 0; head < by_head.size(); ++head) {
    require_ascending("KeptSlots::removed", "slots", std::span(by_head[head]));
    require_below("KeptSlots::removed", "slots", std::span(by_head[head]), n);
    std::size_t begin = 0;
    for (const std::size_t slot : by_head[head]) {
      if (begin < slot) removed[head].push_back({begin, slot});
      begin = slot + 1;
    }
    if (begin < n) removed[head].push_back({begin, n});
  }
  return removed;
}

}  // namespace longshadow
