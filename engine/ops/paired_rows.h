#pragma once

#include <cstddef>

namespace longshadow {

/// Rows of a batch beside the full pass's rows of the same positions: batch row first_row + r
/// belongs to full row full_row + r.
struct PairedRows {
  std::size_t first_row;
  std::size_t n_rows;
  std::size_t full_row;
};

}  // namespace longshadow
