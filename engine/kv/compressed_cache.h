#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/core/range.h"
#include "engine/kv/kept_slots.h"
#include "engine/kv/kv_cache.h"

namespace longshadow {

/// One way to compress a cache.
struct Compression {
  std::vector<KeptSlots> layers;  ///< [L]
  /// The kept keys move to positions 0, 1, ... of their layer, and later tokens follow them. KV
  /// heads must then keep equally many.
  bool rotates_keys = false;
};

/// What compressions of one cache keep: the kept slots' keys and values and no others. Layers and
/// KV heads may keep different numbers of them, so a layer is one matrix with the rows of one KV
/// head behind those of another, of one compression behind those of another.
template <class T>
class CompressedCache {
 public:
  /// Copies from `full`; frequencies [d / 2], radians per position, turn keys that move.
  template <class Device>
  CompressedCache(Device& device, const KvCache<T>& full, std::span<const Compression> compressions,
                  std::span<const double> frequencies);

  /// The rows of all compressions, as attention() takes them for a Stream of ragged_prefix.
  KeysValues<const T> layer(std::size_t index) const {
    return {as_heads(layers_[index].keys.view(), 1), as_heads(layers_[index].values.view(), 1)};
  }
  /// [K]: the rows of each KV head, in the order of their slots.
  std::span<const Range> rows(std::size_t layer, std::size_t compression) const {
    return std::span(layers_[layer].rows).subspan(compression * n_kv_heads_, n_kv_heads_);
  }
  /// Of the keys and values that one compression keeps.
  std::size_t bytes(std::size_t compression) const;
  /// Of all of them as they lie in memory, with the slack that attention's tiles may read.
  std::size_t allocated_bytes() const;

 private:
  struct Layer {
    Matrix<T> keys, values;   // [rows + kRowTile, d]
    std::vector<Range> rows;  // [compressions, K]
  };

  std::size_t n_kv_heads_;
  std::size_t head_dim_;
  std::vector<Layer> layers_;
};

}  // namespace longshadow
