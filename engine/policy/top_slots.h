#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv/kept_slots.h"
#include "engine/policy/token_scores.h"

namespace longshadow {

/// The `count` slots of the highest scores, sorted; of equal scores the later slot, which is the
/// more recent token, stays.
std::vector<std::uint32_t> top_slots(std::span<const double> scores, std::size_t count);

/// The top `count` slots of every KV head.
KeptSlots top_slots_by_head(const TokenScores& scores, std::size_t count);

}  // namespace longshadow
