#include "probes/measure/activation_tape.h"

#include <algorithm>

#include "engine/backend/device.h"

namespace longshadow {

ActivationTape::ActivationTape(Device& device, const Weights& weights, Range positions,
                               std::size_t row_tiles_before)
    : device_(device), positions_(positions), row_tiles_before_(row_tiles_before) {
  const ModelConfig& config = weights.config;
  const Element element = weights.element();
  const std::size_t m = positions.size() + kRowTile;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    layers_.emplace_back(device, config, layer, element, m);
  }
  final_residual_ = Tensor(device.memory(), element, m, config.hidden_size);
}

KeptRows ActivationTape::kept(const Chunk& chunk) const {
  const std::size_t begin = std::max(chunk.first_position, positions_.begin);
  const std::size_t end = std::min(chunk.first_position + chunk.used_rows, positions_.end);
  if (begin >= end) return {0, 0, 0};
  return {begin - chunk.first_position, begin - positions_.begin, end - begin};
}

void ActivationTape::before_layer(const Chunk& chunk, std::size_t layer, ConstTensorView residual) {
  layers_[layer].attention.keep_residual(device_, kept(chunk), residual);
}

void ActivationTape::after_attention(const Chunk& chunk, std::size_t layer,
                                     const LayerActivations& activations, ConstHeadsView,
                                     ConstTensorView residual) {
  layers_[layer].attention.keep(device_, kept(chunk), activations.attention);
  layers_[layer].feed_forward.keep_residual(device_, kept(chunk), residual);
}

void ActivationTape::after_feed_forward(const Chunk& chunk, std::size_t layer,
                                        const LayerActivations& activations) {
  layers_[layer].feed_forward.keep(device_, kept(chunk), activations.feed_forward);
}

void ActivationTape::after_layers(const Chunk& chunk, ConstTensorView residual) {
  keep_rows(device_, kept(chunk), residual, final_residual_);
}

}  // namespace longshadow
