#include "probes/measure/activation_tape.h"

#include <algorithm>

#include "engine/backend/cuda/cuda.h"

namespace longshadow {

template <class Device, class T>
ActivationTape<Device, T>::ActivationTape(Device& device, const ModelConfig& config,
                                          Range positions, std::size_t row_tiles_before)
    : device_(device), positions_(positions), row_tiles_before_(row_tiles_before) {
  const std::size_t m = positions.size() + kRowTile;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    layers_.emplace_back(device, config, m);
  }
  final_residual_ = Matrix<T>(device.memory(), m, config.hidden_size);
}

template <class Device, class T>
KeptRows ActivationTape<Device, T>::kept(const Chunk& chunk) const {
  const std::size_t begin = std::max(chunk.first_position, positions_.begin);
  const std::size_t end = std::min(chunk.first_position + chunk.used_rows, positions_.end);
  if (begin >= end) return {0, 0, 0};
  return {begin - chunk.first_position, begin - positions_.begin, end - begin};
}

template <class Device, class T>
void ActivationTape<Device, T>::before_layer(const Chunk& chunk, std::size_t layer,
                                             MatrixView<const T> residual) {
  keep_rows(device_, kept(chunk), residual, layers_[layer].attention.residual);
}

template <class Device, class T>
void ActivationTape<Device, T>::after_attention(const Chunk& chunk, std::size_t layer,
                                                const LayerActivations<T>& activations,
                                                HeadRows<const T>, MatrixView<const T> residual) {
  layers_[layer].attention.keep(device_, kept(chunk), activations.attention);
  keep_rows(device_, kept(chunk), residual, layers_[layer].feed_forward.residual);
}

template <class Device, class T>
void ActivationTape<Device, T>::after_feed_forward(const Chunk& chunk, std::size_t layer,
                                                   const LayerActivations<T>& activations) {
  layers_[layer].feed_forward.keep(device_, kept(chunk), activations.feed_forward);
}

template <class Device, class T>
void ActivationTape<Device, T>::after_layers(const Chunk& chunk, MatrixView<const T> residual) {
  keep_rows(device_, kept(chunk), residual, final_residual_);
}

template class ActivationTape<Cpu, float>;
template class ActivationTape<Cpu, double>;
template class ActivationTape<Cuda, float>;
template class ActivationTape<Cuda, double>;

}  // namespace longshadow
