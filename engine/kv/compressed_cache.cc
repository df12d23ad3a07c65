#include "engine/kv/compressed_cache.h"

#include <cstdint>

#include "engine/kv/key_rotation.h"
#include "engine/ops/rows.h"

namespace longshadow {

template <class T>
template <class Device>
CompressedCache<T>::CompressedCache(Device& device, const KvCache<T>& full,
                                    std::span<const Compression> compressions,
                                    std::span<const double> frequencies)
    : n_kv_heads_(full.layer(0).keys.n_heads), head_dim_(full.layer(0).keys.head_dim) {
  const std::size_t n_layers = compressions.front().layers.size();
  for (std::size_t index = 0; index < n_layers; ++index) {
    std::size_t n_rows = kRowTile;
    for (const Compression& one : compressions) n_rows += one.layers[index].total();
    Layer layer{Matrix<T>(device.memory(), n_rows, head_dim_),
                Matrix<T>(device.memory(), n_rows, head_dim_),
                {}};
    const KeysValues<const T> from = full.layer(index);
    std::size_t first = 0;
    for (const Compression& one : compressions) {
      for (std::size_t head = 0; head < n_kv_heads_; ++head) {
        const std::vector<std::uint32_t>& kept = one.layers[index].by_head[head];
        const std::vector<std::int32_t> slots(kept.begin(), kept.end());
        const MatrixView<T> keys = layer.keys.view().row_range(first, slots.size());
        gather_rows(device, from.keys.head(head), slots, keys);
        gather_rows(device, from.values.head(head), slots,
                    layer.values.view().row_range(first, slots.size()));
        if (one.rotates_keys) rotate_kept_keys(kept, frequencies, keys);
        layer.rows.push_back({first, first + slots.size()});
        first += slots.size();
      }
    }
    layers_.push_back(std::move(layer));
  }
}

template <class T>
std::size_t CompressedCache<T>::bytes(std::size_t compression) const {
  std::size_t n_rows = 0;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (const Range& range : rows(layer, compression)) n_rows += range.size();
  }
  return 2 * n_rows * head_dim_ * sizeof(T);
}

template <class T>
std::size_t CompressedCache<T>::allocated_bytes() const {
  std::size_t bytes = 0;
  for (const Layer& layer : layers_) bytes += layer.keys.bytes() + layer.values.bytes();
  return bytes;
}

#define LONGSHADOW_INSTANTIATE(T)               \
  template class CompressedCache<T>;            \
  template CompressedCache<T>::CompressedCache( \
      Cpu&, const KvCache<T>&, std::span<const Compression>, std::span<const double>);
LONGSHADOW_INSTANTIATE(float)
LONGSHADOW_INSTANTIATE(double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
