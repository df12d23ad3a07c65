#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/core/range.h"
#include "engine/core/tensor.h"
#include "engine/kv/compressed_cache.h"
#include "engine/kv/kept_slots.h"
#include "engine/kv/kv_cache.h"
#include "engine/kv/packed_rows.h"

namespace longshadow {

/// A layer as attention() takes it for a Stream of ragged_prefix.
struct CachedLayer {
  KeysValuesView rows;             ///< of one head
  std::span<const Range> by_head;  ///< [K], which of the rows each KV head has
};

/// The cache of a text that is being written: of every layer and KV head the slots that were kept,
/// then those of the tokens since; of a layer with a window, the slots that the next token sees.
/// Quantized, every whole group of a head's slots is packed, and the last slots, fewer than a
/// group, stay as they are until the group is full (as in KIVI, Liu et al. 2024, arXiv 2402.02750).
class GrowingCache {
 public:
  /// Begins with what `compression` keeps of a prefilled cache. `device` must outlive this;
  /// frequencies [L] of [d / 2], radians per position, turn keys that move.
  GrowingCache(Device& device, const KvCache& prefilled, const Compression& compression,
               std::span<const std::vector<double>> frequencies);

  std::size_t n_layers() const { return layers_.size(); }
  /// Whether the layer holds the tokens of a window alone.
  bool has_window(std::size_t layer) const { return layers_[layer].window != 0; }
  /// The tokens of a KV head's slots, as positions in the text.
  const std::vector<std::uint32_t>& tokens(std::size_t layer, std::size_t head) const {
    return layers_[layer].heads[head].tokens;
  }
  /// The rotary position that the layer's next token gets, where that token is number `token` of
  /// the text.
  std::size_t next_position(std::size_t layer, std::size_t token) const {
    return rotates_keys_ && !has_window(layer) ? tokens(layer, 0).size() : token;
  }

  /// Valid until the next call.
  CachedLayer read(std::size_t layer);
  /// Adds the first row of every KV head of `own`, which is token number `token` of the text. What
  /// the next token does not see any more, in a layer with a window, leaves the cache; packed slots
  /// leave when none of those that they were packed with is seen.
  void append(std::size_t layer, KeysValuesView own, std::size_t token);
  /// Evicts all but these of the layer's slots, which are sorted.
  void keep(std::size_t layer, const std::vector<std::vector<std::uint32_t>>& slots_by_head);

  /// The size of the keys and values, as they are stored, without the room for more.
  std::size_t bytes() const;

 private:
  struct Head {
    std::vector<std::uint32_t> tokens;
    std::vector<PackedRows> packed_keys, packed_values;  ///< whole groups of slots each
    Range plain;                                         ///< rows that hold the slots behind them
    std::size_t capacity = 0;                            ///< rows of the head from plain.begin on
  };
  struct Layer {
    Tensor keys, values;
    std::vector<Head> heads;
    std::size_t window = 0;      ///< as KeptSlots::window
    std::size_t first_seen = 0;  ///< the first token that the next one sees
  };

  /// The named rows of each head; keys move where frequencies [d / 2] are given.
  Layer gather(std::span<const double> frequencies, CachedLayer from,
               const std::vector<std::vector<std::uint32_t>>& slots_by_head) const;
  /// [d / 2], by which the layer's kept keys move; empty where they stay.
  std::span<const double> moving_frequencies(std::size_t layer, std::size_t window) const {
    if (!rotates_keys_ || window != 0) return {};
    return frequencies_[layer];
  }
  /// The number of the head's slots that the next token does not see.
  static std::size_t n_unseen(const Layer& layer, const Head& head);
  /// Drops what the next token does not see.
  void drop_unseen(Layer& layer) const;
  /// Packs whole groups of rows and puts them behind the head's other groups.
  void pack(ConstTensorView keys, ConstTensorView values, Head& head) const;
  /// So that every head of the layer has rows to spare.
  void make_room(Layer& layer) const;

  Device* device_;
  Element element_;
  std::vector<std::vector<double>> frequencies_;
  std::optional<Quantization> quantization_;
  bool rotates_keys_;
  std::size_t head_dim_;
  std::vector<Layer> layers_;
  Tensor unpacked_keys_, unpacked_values_;  ///< of the layer read last
  std::vector<Range> by_head_;              ///< likewise
};

}  // namespace longshadow
