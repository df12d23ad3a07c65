#pragma once

#include <cstddef>
#include <memory_resource>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/ops/attention/attention.h"

namespace longshadow {

/// Keys (after rotation) and values of consecutive positions, for every layer and KV head.
template <class T>
class KvCache {
 public:
  /// Room for `capacity` positions, and kRowTile more that tiles may read and nobody writes.
  KvCache(std::pmr::memory_resource* memory, std::size_t n_layers, std::size_t n_kv_heads,
          std::size_t capacity, std::size_t head_dim)
      : n_kv_heads_(n_kv_heads) {
    const std::size_t rows = n_kv_heads * (capacity + kRowTile);
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      keys_.emplace_back(memory, rows, head_dim);
      values_.emplace_back(memory, rows, head_dim);
    }
  }

  std::size_t n_layers() const { return keys_.size(); }
  KeysValues<T> layer(std::size_t index) {
    return {as_heads(keys_[index].view(), n_kv_heads_),
            as_heads(values_[index].view(), n_kv_heads_)};
  }
  KeysValues<const T> layer(std::size_t index) const {
    return {as_heads(keys_[index].view(), n_kv_heads_),
            as_heads(values_[index].view(), n_kv_heads_)};
  }

 private:
  std::size_t n_kv_heads_;
  std::vector<Matrix<T>> keys_;
  std::vector<Matrix<T>> values_;
};

}  // namespace longshadow
