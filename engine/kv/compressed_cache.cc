#include "engine/kv/compressed_cache.h"

#include <cstdint>

#include "engine/backend/device.h"
#include "engine/core/require.h"
#include "engine/ops/cache/key_rotation.h"
#include "engine/ops/common/rows.h"

namespace longshadow {

namespace {

/// The bytes that one head's keys and values take, which quantization rounds in place.
std::size_t stored_bytes(Device& device, TensorView keys, TensorView values,
                         const std::optional<Quantization>& quantization) {
  if (!quantization) return 2 * keys.rows * keys.cols * size_of(keys.element);
  return round_through_packing(device, keys, GroupAxis::rows, *quantization) +
         round_through_packing(device, values, GroupAxis::columns, *quantization);
}

}  // namespace

void require_compression(const Compression& compression, std::size_t n_layers,
                         std::size_t n_kv_heads, std::size_t n_slots, std::size_t head_dim,
                         std::span<const std::vector<double>> frequencies) {
  if constexpr (kContracts) {
    constexpr const char* kName = "a compression of a cache";
    require_equal(kName, "layers.size()", compression.layers.size(), n_layers);
    if (compression.rotates_keys) {
      require_equal(kName, "frequencies.size()", frequencies.size(), n_layers);
      for (const std::vector<double>& layer : frequencies) {
        require_equal(kName, "2 frequencies.size() of a layer", 2 * layer.size(), head_dim);
      }
    }
    for (std::size_t index = 0; index < n_layers; ++index) {
      const KeptSlots& layer = compression.layers[index];
      require_equal(kName, "by_head.size()", layer.by_head.size(), n_kv_heads);
      for (const std::vector<std::uint32_t>& slots : layer.by_head) {
        require_ascending(kName, "slots", std::span(slots));
        require_below(kName, "slots", std::span(slots), n_slots);
        if (!compression.rotates_keys_of(index)) continue;
        require_equal(kName, "slots.size() of keys that move", slots.size(),
                      layer.by_head.front().size());
      }
    }
  }
}

CompressedCache::CompressedCache(Device& device, const KvCache& full,
                                 std::span<const Compression> compressions,
                                 std::span<const std::vector<double>> frequencies)
    : n_kv_heads_(full.layer(0).keys.n_heads),
      head_dim_(full.layer(0).keys.head_dim),
      bytes_(compressions.size()) {
  require_at_least("CompressedCache", "compressions.size()", compressions.size(), 1);
  for (const Compression& one : compressions) {
    require_compression(one, full.n_layers(), n_kv_heads_, full.layer(0).keys.rows, head_dim_,
                        frequencies);
  }
  const std::size_t n_layers = compressions.front().layers.size();
  for (std::size_t index = 0; index < n_layers; ++index) {
    std::size_t n_rows = kRowTile;
    for (const Compression& one : compressions) n_rows += one.layers[index].total();
    Layer layer{Tensor(device.memory(), full.element(), n_rows, head_dim_),
                Tensor(device.memory(), full.element(), n_rows, head_dim_),
                {},
                {}};
    const KeysValuesView from = full.layer(index);
    std::size_t first = 0;
    for (std::size_t c = 0; c < compressions.size(); ++c) {
      const Compression& one = compressions[c];
      for (std::size_t head = 0; head < n_kv_heads_; ++head) {
        const std::vector<std::uint32_t>& kept = one.layers[index].by_head[head];
        const std::vector<std::int32_t> slots(kept.begin(), kept.end());
        const TensorView keys = layer.keys.view().row_range(first, slots.size());
        gather_rows(device, from.keys.head(head), slots, keys);
        const TensorView values = layer.values.view().row_range(first, slots.size());
        gather_rows(device, from.values.head(head), slots, values);
        if (one.rotates_keys_of(index)) rotate_kept_keys(device, kept, frequencies[index], keys);
        bytes_[c] += stored_bytes(device, keys, values, one.quantization);
        layer.rows.push_back({first, first + slots.size()});
        if (one.layers[index].window != 0) {
          layer.tokens.insert(layer.tokens.end(), kept.begin(), kept.end());
        }
        first += slots.size();
      }
    }
    layers_.push_back(std::move(layer));
  }
}

std::size_t CompressedCache::allocated_bytes() const {
  std::size_t bytes = 0;
  for (const Layer& layer : layers_) bytes += layer.keys.bytes() + layer.values.bytes();
  return bytes;
}

}  // namespace longshadow
