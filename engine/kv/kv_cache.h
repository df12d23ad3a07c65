#pragma once

#include <cstddef>
#include <memory_resource>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"

namespace longshadow {

/// Keys (after rotation) and values of consecutive positions, for every layer and KV head.
class KvCache {
 public:
  /// Room for `capacity` positions, and kRowTile more that tiles may read and nobody writes.
  KvCache(std::pmr::memory_resource* memory, Element element, std::size_t n_layers,
          std::size_t n_kv_heads, std::size_t capacity, std::size_t head_dim)
      : element_(element), n_kv_heads_(n_kv_heads) {
    const std::size_t rows = n_kv_heads * (capacity + kRowTile);
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      keys_.emplace_back(memory, element, rows, head_dim);
      values_.emplace_back(memory, element, rows, head_dim);
    }
  }

  Element element() const { return element_; }
  std::size_t n_layers() const { return keys_.size(); }
  KeysValuesView layer(std::size_t index) const {
    return {as_heads(keys_[index].view(), n_kv_heads_),
            as_heads(values_[index].view(), n_kv_heads_)};
  }
  /// To be written.
  HeadsView keys(std::size_t layer) { return as_heads(keys_[layer].view(), n_kv_heads_); }
  HeadsView values(std::size_t layer) { return as_heads(values_[layer].view(), n_kv_heads_); }

 private:
  Element element_;
  std::size_t n_kv_heads_;
  std::vector<Tensor> keys_;
  std::vector<Tensor> values_;
};

}  // namespace longshadow
