#include "engine/model/decoder.h"

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/transfer.h"
#include "engine/model/rotary_frequencies.h"
#include "engine/ops/linear.h"
#include "engine/ops/rms_norm.h"
#include "engine/ops/rows.h"

namespace longshadow {

template <class Device, class T>
Decoder<Device, T>::Decoder(Device& device, const Weights<T>& weights, std::size_t max_tokens)
    : device_(device),
      weights_(weights),
      rotary_(make_rotary_table<T>(
          device, rotary_frequencies(weights.config.rope, weights.config.head_dim, max_tokens),
          max_tokens, weights.config.rope.attention_factor)),
      activations_(device, weights.config, kFewRows),
      residual_(device.memory(), kFewRows, weights.config.hidden_size),
      hidden_(device.memory(), kFewRows, weights.config.hidden_size),
      logits_(device.memory(), kFewRows, weights.config.vocab_size),
      host_logits_(Cpu::memory(), 1, weights.config.vocab_size) {}

template <class Device, class T>
std::span<const T> Decoder<Device, T>::logits(MatrixView<const T> hidden) {
  linear(device_, hidden.row_range(0, kFewRows), weights_.packed_output, logits_.view());
  copy_to_host(device_, std::as_const(logits_).view().row_range(0, 1), host_logits_.view());
  return {host_logits_.data(), host_logits_.cols()};
}

template <class Device, class T>
std::span<const T> Decoder<Device, T>::step(std::int32_t token, std::size_t index,
                                            GrowingCache<Device, T>& cache,
                                            std::span<FullPassObserver<T>* const> observers) {
  const ModelConfig& config = weights_.config;
  const Chunk chunk{index, 1};
  const MatrixView<T> x = residual_.view();
  RowBatch row;
  row.positions.resize(kFewRows);
  row.streams.push_back({.first_row = 0, .n_rows = 1, .prefix = 0});
  gather_rows(device_, weights_.token_embedding.view(), std::span<const std::int32_t>(&token, 1),
              x);
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    for (auto* observer : observers) observer->before_layer(chunk, layer, x);
    row.positions[0] = static_cast<std::uint32_t>(cache.next_position(layer, index));
    const CachedLayer<T> cached = cache.read(layer);
    row.streams[0].ragged_prefix = cached.by_head;
    attention_block(device_, config, weights_.layers[layer], rotary_, row, cached.rows,
                    ColumnOrder::forward, activations_, x);
    for (auto* observer : observers) {
      observer->after_attention(chunk, layer, activations_, cached.rows.keys, x);
    }
    cache.append(layer, activations_.keys_values(config), index);
    feed_forward_block(device_, config, weights_.layers[layer], activations_, x);
    for (auto* observer : observers) observer->after_feed_forward(chunk, layer, activations_);
  }
  for (auto* observer : observers) observer->after_layers(chunk, x);
  rms_norm(device_, MatrixView<const T>(x), weights_.final_norm.view(), config.norm_epsilon,
           hidden_.view());
  return logits(hidden_.view());
}

template class Decoder<Cpu, float>;
template class Decoder<Cpu, double>;
template class Decoder<Cuda, float>;
template class Decoder<Cuda, double>;

}  // namespace longshadow
