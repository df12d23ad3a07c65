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
  const std::size_t rows = padded_rows + kRowTile;
  const auto make = [&](std::size_t n_rows, std::size_t cols) {
    return Matrix<T>(device.memory(), n_rows, cols);
  };
  normed = make(rows, config.hidden_size);
  projected = make(rows, config.n_heads * config.head_dim);
  query_heads = make(config.n_heads * rows, config.head_dim);
  key_heads = make(config.n_kv_heads * rows, config.head_dim);
  value_heads = make(config.n_kv_heads * rows, config.head_dim);
  attended = make(rows, config.n_heads * config.head_dim);
  log_normalisers = make(rows, config.n_heads);
  gate = make(rows, config.feed_forward_size);
  up = make(rows, config.feed_forward_size);
}

/// One of q, k and v before its heads are apart: rows [x.rows, outputs].
template <class Device, class T>
MatrixView<const T> project(Device& device, MatrixView<const T> x, const PackedWeights<T>& weights,
                            const Matrix<T>& bias, Matrix<T>& into) {
  const MatrixView<T> out{into.data(), x.rows, weights.outputs(), weights.outputs()};
  linear(device, x, weights, out);
  if (bias.cols() != 0) add_bias(device, bias.view(), out);
  return out;
}

template <class Device, class T>
void decoder_layer(Device& device, const ModelConfig& config, const LayerWeights<T>& weights,
                   const RotaryTable<T>& rotary, const RowBatch& batch, KeysValues<const T> prefix,
                   ColumnOrder order, LayerActivations<T>& s, MatrixView<T> x) {
  const std::span<const std::uint32_t> positions(batch.positions);
  const auto used = [&](Matrix<T>& whole) { return whole.view().row_range(0, x.rows); };
  const auto input = [](MatrixView<T> view) { return MatrixView<const T>(view); };
  const MatrixView<T> normed = used(s.normed);
  const MatrixView<T> attended = used(s.attended);
  const MatrixView<T> gate = used(s.gate);
  const MatrixView<T> up = used(s.up);

  rms_norm(device, input(x), weights.attention_norm.view(), config.norm_epsilon, normed);
  const HeadRows<T> queries = as_heads(s.query_heads.view(), config.n_heads);
  const HeadRows<T> keys = as_heads(s.key_heads.view(), config.n_kv_heads);
  const HeadRows<T> values = as_heads(s.value_heads.view(), config.n_kv_heads);
  rotate_heads(device, rotary, positions,
               project(device, input(normed), weights.query, weights.query_bias, s.projected),
               queries);
  rotate_heads(device, rotary, positions,
               project(device, input(normed), weights.key, weights.key_bias, s.projected), keys);
  split_heads(device,
              project(device, input(normed), weights.value, weights.value_bias, s.projected),
              values);
  attention(device, attention_shape(config), HeadRows<const T>(queries), prefix,
            KeysValues<const T>{keys, values}, std::span(batch.streams), attended,
            s.log_normalisers.view(), order);
  linear(device, input(attended), weights.attention_output, x, Write::add);

  rms_norm(device, input(x), weights.feed_forward_norm.view(), config.norm_epsilon, normed);
  linear(device, input(normed), weights.gate, gate);
  linear(device, input(normed), weights.up, up);
  silu_gate(device, input(gate), input(up), gate);
  linear(device, input(gate), weights.down, x, Write::add);
}

#define LONGSHADOW_INSTANTIATE(T)                                                          \
  template struct LayerActivations<T>;                                                     \
  template LayerActivations<T>::LayerActivations(Cpu&, const ModelConfig&, std::size_t);   \
  template void decoder_layer(Cpu&, const ModelConfig&, const LayerWeights<T>&,            \
                              const RotaryTable<T>&, const RowBatch&, KeysValues<const T>, \
                              ColumnOrder, LayerActivations<T>&, MatrixView<T>);
LONGSHADOW_INSTANTIATE(float)
LONGSHADOW_INSTANTIATE(double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
