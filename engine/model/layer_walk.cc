#include "engine/model/layer_walk.h"

#include "engine/backend/device.h"

namespace longshadow {

LayerWalk::LayerWalk(Device& device, const Weights& weights, std::size_t max_rows)
    : device_(device),
      weights_(weights),
      residual_(device.memory(), weights.element(), max_rows, weights.config.hidden_size),
      activations_(device, weights.config, weights.element(), max_rows) {}

void LayerWalk::run(std::span<const std::int32_t> tokens, RowBatch& rows,
                    const RotaryTables& rotary, LayerCache& cache, TensorView hidden,
                    ColumnOrder order, const Chunk& chunk,
                    std::span<LayerObserver* const> observers) {
  const TensorView x = rows_of(residual_, rows.padded_rows());
  const TensorView normed = rows_of(activations_.normed, rows.padded_rows());
  weights_.embedding.forward(device_, tokens, x);
  for (std::size_t index = 0; index < weights_.layers.size(); ++index) {
    const Layer& layer = weights_.layers[index];
    const LayerMatrices& matrices = weights_.matrices[index];
    for (auto* observer : observers) observer->before_layer(chunk, index, x);
    const KeysValuesView prefix = cache.enter(index, rows);
    layer.attention.forward(device_, matrices.attention, rotary.of(index), rows, prefix, order,
                            normed, activations_.attention, x);
    const ConstHeadsView keys = cache.store(index, activations_.keys_values(weights_.config));
    for (auto* observer : observers) observer->after_attention(chunk, index, activations_, keys, x);
    layer.feed_forward.forward(device_, matrices.feed_forward, rows, normed,
                               activations_.feed_forward, x);
    for (auto* observer : observers) observer->after_feed_forward(chunk, index, activations_);
  }
  for (auto* observer : observers) observer->after_layers(chunk, x);
  weights_.head.norm.forward(device_, x, hidden);
}

}  // namespace longshadow
