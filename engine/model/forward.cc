#include "engine/model/forward.h"

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/add_bias.h"
#include "engine/ops/linear.h"
#include "engine/ops/project_heads.h"
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
  const std::size_t rows = padded_rows + kRowTile;
  const auto make = [&](std::size_t n_rows, std::size_t cols) {
    return Matrix<T>(device.memory(), n_rows, cols);
  };
  normed = make(rows, config.hidden_size);
  query_heads = make(config.n_heads * rows, config.head_dim);
  key_heads = make(config.n_kv_heads * rows, config.head_dim);
  value_heads = make(config.n_kv_heads * rows, config.head_dim);
  attended = make(rows, config.n_heads * config.head_dim);
  log_normalisers = make(rows, config.n_heads);
  gate = make(rows, config.feed_forward_size);
  up = make(rows, config.feed_forward_size);
  gated = make(rows, config.feed_forward_size);
}

template <class Device, class T>
void attention_block(Device& device, const ModelConfig& config, const LayerWeights<T>& weights,
                     const RotaryTable<T>& rotary, const RowBatch& batch,
                     KeysValues<const T> prefix, ColumnOrder order, LayerActivations<T>& s,
                     MatrixView<T> x) {
  const std::span<const std::uint32_t> positions(batch.positions);
  const MatrixView<T> normed = s.normed.view().row_range(0, x.rows);
  const MatrixView<const T> input = normed;
  const MatrixView<T> attended = s.attended.view().row_range(0, x.rows);
  const HeadRows<T> queries = as_heads(s.query_heads.view(), config.n_heads);
  const HeadRows<T> keys = as_heads(s.key_heads.view(), config.n_kv_heads);
  const HeadRows<T> values = as_heads(s.value_heads.view(), config.n_kv_heads);

  rms_norm(device, MatrixView<const T>(x), weights.attention_norm.view(), config.norm_epsilon,
           normed);
  project_rotated_heads(device, input, weights.query, weights.query_bias.view(), rotary, positions,
                        queries);
  project_rotated_heads(device, input, weights.key, weights.key_bias.view(), rotary, positions,
                        keys);
  project_heads(device, input, weights.value, weights.value_bias.view(), values);
  attention(device, attention_shape(config), HeadRows<const T>(queries), prefix,
            KeysValues<const T>{keys, values}, std::span(batch.streams), attended,
            s.log_normalisers.view(), order);
  linear(device, MatrixView<const T>(attended), weights.attention_output, x, Write::add);
  add_bias(device, weights.output_bias.view(), x);
}

template <class Device, class T>
void feed_forward_block(Device& device, const ModelConfig& config, const LayerWeights<T>& weights,
                        LayerActivations<T>& s, MatrixView<T> x) {
  const MatrixView<T> normed = s.normed.view().row_range(0, x.rows);
  const MatrixView<T> gate = s.gate.view().row_range(0, x.rows);
  const MatrixView<T> up = s.up.view().row_range(0, x.rows);
  const MatrixView<T> gated = s.gated.view().row_range(0, x.rows);

  rms_norm(device, MatrixView<const T>(x), weights.feed_forward_norm.view(), config.norm_epsilon,
           normed);
  linear(device, MatrixView<const T>(normed), weights.gate, gate);
  add_bias(device, weights.gate_bias.view(), gate);
  linear(device, MatrixView<const T>(normed), weights.up, up);
  add_bias(device, weights.up_bias.view(), up);
  silu_gate(device, MatrixView<const T>(gate), MatrixView<const T>(up), gated);
  linear(device, MatrixView<const T>(gated), weights.down, x, Write::add);
  add_bias(device, weights.down_bias.view(), x);
}

template struct LayerActivations<float>;
template struct LayerActivations<double>;
#define LONGSHADOW_INSTANTIATE(Device, T)                                                    \
  template LayerActivations<T>::LayerActivations(Device&, const ModelConfig&, std::size_t);  \
  template void attention_block(Device&, const ModelConfig&, const LayerWeights<T>&,         \
                                const RotaryTable<T>&, const RowBatch&, KeysValues<const T>, \
                                ColumnOrder, LayerActivations<T>&, MatrixView<T>);           \
  template void feed_forward_block(Device&, const ModelConfig&, const LayerWeights<T>&,      \
                                   LayerActivations<T>&, MatrixView<T>);
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
