#include "probes/gather/signals.h"

#include <algorithm>

#include "engine/backend/transfer.h"
#include "engine/ops/attention_statistics/attention_received.h"
#include "engine/ops/common/rows.h"

namespace longshadow {

SignalObserver::SignalObserver(Device& device, const Weights& weights, std::size_t n,
                               std::size_t context)
    : device_(device),
      config_(weights.config),
      n_kv_heads_(config_.n_kv_heads),
      n_layers_(config_.n_layers),
      n_(n),
      context_(context),
      drift_(config_.n_layers * n) {
  const std::size_t chunk_rows = std::min(kPrefillChunk, round_up(n, kRowTile));
  for (std::size_t layer = 0; layer < n_layers_; ++layer) {
    inputs_.emplace_back(device.memory(), weights.element(), chunk_rows, config_.hidden_size);
    all_.emplace_back(device.memory(), n_kv_heads_, context);
    window_.emplace_back(device.memory(), n_kv_heads_, context);
  }
}

void SignalObserver::before_layer(const Chunk&, std::size_t layer, ConstTensorView residual) {
  copy_rows(device_, residual, inputs_[layer].view().row_range(0, residual.rows));
}

void SignalObserver::after_attention(const Chunk& chunk, std::size_t layer,
                                     const LayerActivations& activations, ConstHeadsView keys,
                                     ConstTensorView) {
  if (chunk.first_position >= context_) return;
  const std::size_t rows = std::min(chunk.used_rows, context_ - chunk.first_position);
  const std::size_t window_begin = context_ > kAttentionWindow ? context_ - kAttentionWindow : 0;
  add_attention_received(device_, attention_shape(config_, layer), activations.queries(config_),
                         chunk.first_position, rows, keys,
                         activations.attention.log_normalisers.view(), window_begin,
                         all_[layer].view(), window_[layer].view());
}

void SignalObserver::after_layers(const Chunk& chunk, ConstTensorView residual) {
  for (std::size_t layer = 0; layer < n_layers_; ++layer) {
    const std::span<float> row =
        std::span(drift_).subspan(layer * n_ + chunk.first_position, chunk.used_rows);
    cosine_distances(device_, ConstTensorView(inputs_[layer].view()), residual, row);
  }
}

template <class Divisor>
std::vector<float> SignalObserver::divided(const std::vector<Matrix<double>>& sums,
                                           Divisor&& divisor) const {
  std::vector<float> signal(n_layers_ * n_kv_heads_ * n_);
  Matrix<double> of_layer(host_memory(), n_kv_heads_, context_);
  for (std::size_t layer = 0; layer < n_layers_; ++layer) {
    copy_to_host(device_, sums[layer].view(), of_layer.view());
    for (std::size_t head = 0; head < n_kv_heads_; ++head) {
      float* const row = signal.data() + (layer * n_kv_heads_ + head) * n_;
      for (std::size_t j = 0; j < context_; ++j) {
        row[j] = static_cast<float>(of_layer.row(head)[j] / divisor(j));
      }
    }
  }
  return signal;
}

std::vector<float> SignalObserver::attention_window() const {
  const auto queries = static_cast<double>(std::min(kAttentionWindow, context_));
  return divided(window_, [&](std::size_t) { return queries; });
}

std::vector<float> SignalObserver::attention_cumulative() const {
  return divided(all_, [&](std::size_t j) { return static_cast<double>(context_ - j); });
}

}  // namespace longshadow
