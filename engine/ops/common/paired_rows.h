#pragma once

#include <cstddef>
#include <span>

#include "engine/core/require.h"

namespace longshadow {

/// Rows of a batch beside the full pass's rows of the same positions: batch row first_row + r
/// belongs to full row full_row + r.
struct PairedRows {
  std::size_t first_row;
  std::size_t n_rows;
  std::size_t full_row;
};

/// Requires pairs whose rows exist, in a batch of `rows` rows and a full pass of `full_rows`.
inline void require_pairs(const char* operation, std::span<const PairedRows> pairs,
                          std::size_t full_rows, std::size_t rows) {
  if constexpr (kContracts) {
    for (const PairedRows& pair : pairs) {
      require_at_most(operation, "the end of a pair's rows", pair.first_row + pair.n_rows, rows);
      require_at_most(operation, "the end of a pair's full rows", pair.full_row + pair.n_rows,
                      full_rows);
    }
  }
}

/// Requires one stream or more, all of the same full rows.
inline void require_same_full_rows(const char* operation, std::span<const PairedRows> streams) {
  if constexpr (kContracts) {
    require_at_least(operation, "streams.size()", streams.size(), 1);
    for (const PairedRows& stream : streams) {
      require_equal(operation, "a stream's full_row", stream.full_row, streams.front().full_row);
      require_equal(operation, "a stream's n_rows", stream.n_rows, streams.front().n_rows);
    }
  }
}

}  // namespace longshadow
