#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/core/range.h"
#include "engine/core/tensor.h"
#include "engine/kv/kept_slots.h"
#include "engine/kv/kv_cache.h"
#include "engine/kv/packed_rows.h"

namespace longshadow {

/// One way to compress a cache.
struct Compression {
  std::vector<KeptSlots> layers;  ///< [L]
  /// The kept keys move to positions 0, 1, ... of their layer, and later tokens follow them. KV
  /// heads must then keep equally many. In a layer with a window, which nobody compresses, they
  /// stay.
  bool rotates_keys = false;
  /// Keys and values are packed in whole groups of a head's slots; the last slots, fewer than a
  /// group, stay as they are (as in KIVI, Liu et al. 2024, arXiv 2402.02750). Empty: all stay.
  std::optional<Quantization> quantization{};

  bool rotates_keys_of(std::size_t layer) const {
    return rotates_keys && layers[layer].window == 0;
  }
};

/// Throws ContractError, where contracts are checked (engine/core/require.h), unless the
/// compression fits a cache of L layers and K KV heads with `n_slots` slots of `head_dim`, and
/// frequencies [L] of [d / 2] where keys move.
void require_compression(const Compression& compression, std::size_t n_layers,
                         std::size_t n_kv_heads, std::size_t n_slots, std::size_t head_dim,
                         std::span<const std::vector<double>> frequencies);

/// The keys and values of the slots that compressions of one cache keep, and no others. Layers and
/// KV heads may keep different numbers of them, so a layer is one matrix with the rows of one KV
/// head behind those of another, of one compression behind those of another.
class CompressedCache {
 public:
  /// Copies from `full`, for one compression or more; frequencies [L] of [d / 2], radians per
  /// position, turn keys that move.
  CompressedCache(Device& device, const KvCache& full, std::span<const Compression> compressions,
                  std::span<const std::vector<double>> frequencies);

  /// The rows of all compressions, as attention() takes them for a Stream of ragged_prefix.
  KeysValuesView layer(std::size_t index) const {
    return {as_heads(layers_[index].keys.view(), 1), as_heads(layers_[index].values.view(), 1)};
  }
  /// [K]: the rows of each KV head, in the order of their slots.
  std::span<const Range> rows(std::size_t layer, std::size_t compression) const {
    return std::span(layers_[layer].rows).subspan(compression * n_kv_heads_, n_kv_heads_);
  }
  /// The token of each row of a layer with a window, as Stream::ragged_positions; else empty.
  std::span<const std::uint32_t> tokens(std::size_t layer) const { return layers_[layer].tokens; }
  /// The size of the keys and values that one compression keeps, as it stores them.
  std::size_t bytes(std::size_t compression) const { return bytes_[compression]; }
  /// The size of all of them as they lie here in memory, quantized ones unpacked, with the slack
  /// that attention's tiles may read.
  std::size_t allocated_bytes() const;

 private:
  struct Layer {
    Tensor keys, values;                // [rows + kRowTile, d]
    std::vector<Range> rows;            // [compressions, K]
    std::vector<std::uint32_t> tokens;  // [rows], or none
  };

  std::size_t n_kv_heads_;
  std::size_t head_dim_;
  std::vector<std::size_t> bytes_;  ///< by compression
  std::vector<Layer> layers_;
};

}  // namespace longshadow
