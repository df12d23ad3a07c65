#include "engine/model/layer_walk.h"

#include "engine/backend/cuda/cuda.h"

namespace longshadow {

template <class Device, class T>
LayerWalk<Device, T>::LayerWalk(Device& device, const Weights<T>& weights, std::size_t max_rows)
    : device_(device),
      weights_(weights),
      residual_(device.memory(), max_rows, weights.config.hidden_size),
      activations_(device, weights.config, max_rows) {}

template <class Device, class T>
void LayerWalk<Device, T>::run(std::span<const std::int32_t> tokens, RowBatch& rows,
                               const RotaryTable<T>& rotary, LayerCache<T>& cache,
                               MatrixView<T> hidden, ColumnOrder order, const Chunk& chunk,
                               std::span<LayerObserver<T>* const> observers) {
  const MatrixView<T> x = rows_of(residual_, rows.padded_rows());
  const MatrixView<T> normed = rows_of(activations_.normed, rows.padded_rows());
  weights_.embedding.forward(device_, tokens, x);
  for (std::size_t index = 0; index < weights_.layers.size(); ++index) {
    const Layer<T>& layer = weights_.layers[index];
    const LayerMatrices<T>& matrices = weights_.matrices[index];
    for (auto* observer : observers) observer->before_layer(chunk, index, x);
    const KeysValues<const T> prefix = cache.enter(index, rows);
    layer.attention.forward(device_, matrices.attention, rotary, rows, prefix, order, normed,
                            activations_.attention, x);
    const HeadRows<const T> keys = cache.store(index, activations_.keys_values(weights_.config));
    for (auto* observer : observers) observer->after_attention(chunk, index, activations_, keys, x);
    layer.feed_forward.forward(device_, matrices.feed_forward, normed, activations_.feed_forward,
                               x);
    for (auto* observer : observers) observer->after_feed_forward(chunk, index, activations_);
  }
  for (auto* observer : observers) observer->after_layers(chunk, x);
  weights_.head.norm.forward(device_, MatrixView<const T>(x), hidden);
}

template class LayerWalk<Cpu, float>;
template class LayerWalk<Cpu, double>;
template class LayerWalk<Cuda, float>;
template class LayerWalk<Cuda, double>;

}  // namespace longshadow
