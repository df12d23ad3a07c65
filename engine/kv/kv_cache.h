#pragma once

#include <cstddef>
#include <memory_resource>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/ops/attention.h"

namespace longshadow {

/// Keys (after rotation) and values of consecutive positions, for every layer: [positions, K d].
template <class T>
class KvCache {
 public:
  /// Room for `capacity` positions, and kRowTile more that tiles may read and nobody writes.
  KvCache(std::pmr::memory_resource* memory, std::size_t n_layers, std::size_t capacity,
          std::size_t kv_width)
      : capacity_(capacity) {
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      keys_.emplace_back(memory, capacity + kSlack, kv_width);
      values_.emplace_back(memory, capacity + kSlack, kv_width);
    }
  }

  std::size_t capacity() const { return capacity_; }
  std::size_t n_layers() const { return keys_.size(); }
  KeysValues<T> layer(std::size_t index) { return {keys_[index].view(), values_[index].view()}; }
  KeysValues<const T> layer(std::size_t index) const {
    return {keys_[index].view(), values_[index].view()};
  }
  std::size_t bytes() const {
    return keys_.empty() ? 0 : 2 * keys_.size() * keys_.front().bytes();
  }

 private:
  static constexpr std::size_t kSlack = 128;

  std::size_t capacity_;
  std::vector<Matrix<T>> keys_;
  std::vector<Matrix<T>> values_;
};

}  // namespace longshadow
