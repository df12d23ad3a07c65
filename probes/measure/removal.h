#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// Layers and KV heads of a model, by index: where a removal acts.
struct CachePart {
  std::vector<bool> layers;    ///< [L]
  std::vector<bool> kv_heads;  ///< [K]
};

/// The tokens that leave a KV cache. They may differ between layers and between KV heads.
class Removal {
 public:
  /// Nothing.
  Removal() = default;
  /// These tokens leave every layer and KV head. Ranges may come in any order and overlap.
  explicit Removal(std::vector<Range> tokens);
  /// These tokens leave a part of the cache.
  Removal(std::vector<Range> tokens, const CachePart& where);
  /// by_head[layer * n_kv_heads + kv_head], as an eviction policy leaves them.
  Removal(std::vector<std::vector<Range>> by_head, std::size_t n_kv_heads);

  /// Sorted, disjoint.
  std::span<const Range> ranges(std::size_t layer, std::size_t kv_head) const;

 private:
  std::vector<std::vector<Range>> sets_{{}};
  std::vector<std::uint32_t> set_of_;  ///< [L, K], indices of sets_; empty: the only one
  std::size_t n_kv_heads_ = 0;
};

/// Joins ranges: the tokens as sorted ranges that neither overlap nor touch.
std::vector<Range> joined(std::vector<Range> ranges);

}  // namespace longshadow
