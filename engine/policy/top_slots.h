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

/// Of every layer the top slots of every KV head, counts [L, K] of them.
std::vector<KeptSlots> top_slots_by_head(std::span<const TokenScores> layers,
                                         std::span<const std::size_t> counts);

/// The top `count` slots of the KV heads of all these layers together. Before all others come the
/// top `sure` slots of each head.
std::vector<KeptSlots> top_slots_together(std::span<const TokenScores> layers, std::size_t count,
                                          std::size_t sure);

}  // namespace longshadow
