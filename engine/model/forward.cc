#include "engine/model/forward.h"

#include "engine/ops/linear.h"
#include "engine/ops/rms_norm.h"
#include "engine/ops/silu_gate.h"

namespace longshadow {

AttentionShape attention_shape(const ModelConfig& config) {
  return {config.n_heads, config.n_kv_heads, config.head_dim};
}

template <class T>
template <class Device>
LayerActivations<T>::LayerActivations(Device& device, const ModelConfig& config,
                                      std::size_t padded_rows) {
  const auto rows = [&](std::size_t cols) {
    return Matrix<T>(device.memory(), padded_rows + kRowTile, cols);
  };
  normed = rows(config.hidden_size);
  queries = rows(config.n_heads * config.head_dim);
  keys = rows(config.n_kv_heads * config.head_dim);
  values = rows(config.n_kv_heads * config.head_dim);
  attended = rows(config.n_heads * config.head_dim);
  log_normalisers = rows(config.n_heads);
  gate = rows(config.feed_forward_size);
  up = rows(config.feed_forward_size);
}

template <class Device, class T>
void decoder_layer(Device& device, const ModelConfig& config, const LayerWeights<T>& weights,
                   const RotaryTable<T>& rotary, const RowBatch& batch, KeysValues<const T> prefix,
                   ColumnOrder order, LayerActivations<T>& activations, MatrixView<T> x) {
  const auto used = [&](Matrix<T>& whole) { return whole.view().row_range(0, x.rows); };
  const auto input = [](MatrixView<T> view) { return MatrixView<const T>(view); };
  const MatrixView<T> normed = used(activations.normed);
  const MatrixView<T> q = used(activations.queries);
  const MatrixView<T> k = used(activations.keys);
  const MatrixView<T> v = used(activations.values);
  const MatrixView<T> attended = used(activations.attended);
  const MatrixView<T> gate = used(activations.gate);
  const MatrixView<T> up = used(activations.up);

  rms_norm(device, input(x), weights.attention_norm.view(), config.norm_epsilon, normed);
  linear(device, input(normed), weights.query, q);
  linear(device, input(normed), weights.key, k);
  linear(device, input(normed), weights.value, v);
  if (config.attention_bias) {
    add_bias(device, weights.query_bias.view(), q);
    add_bias(device, weights.key_bias.view(), k);
    add_bias(device, weights.value_bias.view(), v);
  }
  rotate(device, rotary, std::span(batch.positions), q);
  rotate(device, rotary, std::span(batch.positions), k);
  attention(device, attention_shape(config), input(q), prefix, KeysValues<const T>{k, v},
            std::span(batch.streams), attended, activations.log_normalisers.view(), order);
  linear(device, input(attended), weights.attention_output, x, Write::add);

  rms_norm(device, input(x), weights.feed_forward_norm.view(), config.norm_epsilon, normed);
  linear(device, input(normed), weights.gate, gate);
  linear(device, input(normed), weights.up, up);
  silu_gate(device, input(gate), input(up), gate);
  linear(device, input(gate), weights.down, x, Write::add);
}

#define LONGSHADOW_INSTANTIATE(T)                                                               \
  template struct LayerActivations<T>;                                                          \
  template LayerActivations<T>::LayerActivations(Cpu&, const ModelConfig&, std::size_t);        \
  template void decoder_layer(Cpu&, const ModelConfig&, const LayerWeights<T>&,                 \
                              const RotaryTable<T>&, const RowBatch&, KeysValues<const T>,      \
                              ColumnOrder, LayerActivations<T>&, MatrixView<T>);
LONGSHADOW_INSTANTIATE(float)
LONGSHADOW_INSTANTIATE(double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
