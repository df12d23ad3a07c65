#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// The slots of one layer's cache that stay. KV heads may keep different numbers of them.
struct KeptSlots {
  std::size_t n = 0;                                ///< slots before the eviction
  std::vector<std::vector<std::uint32_t>> by_head;  ///< [K], each sorted
  /// The tokens that the layer's later queries look back over, their own included; 0: all.
  std::size_t window = 0;

  /// Slots kept, of all KV heads together.
  std::size_t total() const;
  /// The slots that leave, by KV head: sorted ranges that neither overlap nor touch.
  std::vector<std::vector<Range>> removed() const;
};

}  // namespace longshadow
