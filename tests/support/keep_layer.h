#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/policy/policy.h"

namespace longshadow::test {

/// What a policy that decides layer by layer keeps of the one layer that the view shows.
inline KeptSlots keep_layer(const Policy& policy, const LayerView& view, double share) {
  const TokenScores scores = protected_scores(policy, view);
  const CacheShape shape{view.place.n_layers, scores.n_kv_heads()};
  const std::vector<std::size_t> slots = policy.budget(shape, view.n, 1 - share);
  const auto of_layer =
      std::span(slots).subspan(view.place.layer * shape.n_kv_heads, shape.n_kv_heads);
  return policy.select(std::span(&scores, 1), {1 - share, {of_layer.begin(), of_layer.end()}})
      .front();
}

}  // namespace longshadow::test
