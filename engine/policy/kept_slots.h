#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/range.h"
#include "engine/policy/token_scores.h"

namespace longshadow {

/// The slots of one layer's cache that stay. KV heads may keep different numbers of them.
struct KeptSlots {
  std::size_t n = 0;                                ///< slots before the eviction
  std::vector<std::vector<std::uint32_t>> by_head;  ///< [K], each sorted

  /// Slots kept, of all KV heads together.
  std::size_t total() const;
  /// What leaves, by KV head: sorted ranges that neither overlap nor touch.
  std::vector<std::vector<Range>> removed() const;
};

/// The `count` slots of the highest scores, sorted; of equal scores the later slot, which is the
/// more recent token, stays.
std::vector<std::uint32_t> top_slots(std::span<const double> scores, std::size_t count);

/// The top `count` slots of every KV head.
KeptSlots top_slots_by_head(const TokenScores& scores, std::size_t count);

}  // namespace longshadow
