#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "engine/core/range.h"
#include "engine/ops/common/column_tiles.h"

namespace longshadow {

/// Columns of a prefix that one KV head does not see: sorted, disjoint.
using RemovedColumns = std::span<const Range>;

/// The columns that a KV head of a stream does not see; a stream that removes nothing need not say
/// so by head.
inline RemovedColumns removed_from(std::size_t kv_head, std::span<const RemovedColumns> by_head) {
  return by_head.empty() ? RemovedColumns{} : by_head[kv_head];
}

/// Those of the ranges that reach into the tile.
inline RemovedColumns reaching_into(const ColumnTile& tile, RemovedColumns removed) {
  const auto first = std::partition_point(
      removed.begin(), removed.end(), [&](const Range& range) { return range.end <= tile.begin; });
  const auto last = std::partition_point(first, removed.end(), [&](const Range& range) {
    return range.begin < tile.begin + tile.used;
  });
  return {first, last};
}

}  // namespace longshadow
