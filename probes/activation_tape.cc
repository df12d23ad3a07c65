#include "probes/activation_tape.h"

#include <algorithm>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/rows.h"

namespace longshadow {

template <class Device, class T>
ActivationTape<Device, T>::ActivationTape(Device& device, const ModelConfig& config,
                                          Range positions, std::size_t row_tiles_before)
    : device_(device), config_(config), positions_(positions), row_tiles_before_(row_tiles_before) {
  const std::size_t m = positions.size() + kRowTile;
  const auto make = [&](std::size_t rows, std::size_t cols) {
    return Matrix<T>(device.memory(), rows, cols);
  };
  const std::size_t width = config.n_heads * config.head_dim;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    layers_.push_back({make(m, config.hidden_size), make(config.n_heads * m, config.head_dim),
                       make(m, config.n_heads), make(m, width), make(m, config.hidden_size),
                       make(m, config.feed_forward_size), make(m, config.feed_forward_size)});
  }
  final_residual_ = make(m, config.hidden_size);
}

template <class Device, class T>
typename ActivationTape<Device, T>::Kept ActivationTape<Device, T>::kept(const Chunk& chunk) const {
  const std::size_t begin = std::max(chunk.first_position, positions_.begin);
  const std::size_t end = std::min(chunk.first_position + chunk.used_rows, positions_.end);
  if (begin >= end) return {0, 0, 0};
  return {begin - chunk.first_position, begin - positions_.begin, end - begin};
}

template <class Device, class T>
void ActivationTape<Device, T>::keep(const Chunk& chunk, MatrixView<const T> rows,
                                     Matrix<T>& into) {
  const auto [from, to, count] = kept(chunk);
  copy_rows(device_, rows.row_range(from, count), into.view().row_range(to, count));
}

template <class Device, class T>
void ActivationTape<Device, T>::before_layer(const Chunk& chunk, std::size_t layer,
                                             MatrixView<const T> residual) {
  keep(chunk, residual, layers_[layer].residual_in);
}

template <class Device, class T>
void ActivationTape<Device, T>::after_attention(const Chunk& chunk, std::size_t layer,
                                                const LayerActivations<T>& activations,
                                                HeadRows<const T>, MatrixView<const T> residual) {
  LayerTape<T>& tape = layers_[layer];
  const auto [from, to, count] = kept(chunk);
  HeadRows<const T> queries = activations.queries(config_);
  queries.data += from * queries.head_dim;
  copy_head_rows(device_, queries, count, as_heads(tape.query_heads.view(), config_.n_heads), to);
  keep(chunk, activations.log_normalisers.view(), tape.log_normalisers);
  keep(chunk, activations.attended.view(), tape.attended);
  keep(chunk, residual, tape.residual_mid);
}

template <class Device, class T>
void ActivationTape<Device, T>::after_feed_forward(const Chunk& chunk, std::size_t layer,
                                                   const LayerActivations<T>& activations) {
  keep(chunk, activations.gate.view(), layers_[layer].gate);
  keep(chunk, activations.up.view(), layers_[layer].up);
}

template <class Device, class T>
void ActivationTape<Device, T>::after_layers(const Chunk& chunk, MatrixView<const T> residual) {
  keep(chunk, residual, final_residual_);
}

template class ActivationTape<Cpu, float>;
template class ActivationTape<Cpu, double>;
template class ActivationTape<Cuda, float>;
template class ActivationTape<Cuda, double>;

}  // namespace longshadow
