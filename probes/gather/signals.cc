#include "probes/gather/signals.h"

#include <algorithm>

#include "engine/backend/transfer.h"
#include "engine/ops/attention_statistics/attention_received.h"
#include "engine/ops/common/rows.h"

namespace longshadow {

template <class Device, class T>
SignalObserver<Device, T>::SignalObserver(Device& device, const ModelConfig& config, std::size_t n,
                                          std::size_t context)
    : device_(device),
      config_(config),
      shape_(attention_shape(config)),
      n_layers_(config.n_layers),
      n_(n),
      context_(context),
      drift_(config.n_layers * n) {
  const std::size_t chunk_rows = std::min(kPrefillChunk, round_up(n, kRowTile));
  for (std::size_t layer = 0; layer < n_layers_; ++layer) {
    inputs_.emplace_back(device.memory(), chunk_rows, config.hidden_size);
    all_.emplace_back(device.memory(), shape_.n_kv_heads, context);
    window_.emplace_back(device.memory(), shape_.n_kv_heads, context);
  }
}

template <class Device, class T>
void SignalObserver<Device, T>::before_layer(const Chunk&, std::size_t layer,
                                             MatrixView<const T> residual) {
  copy_rows(device_, residual, inputs_[layer].view().row_range(0, residual.rows));
}

template <class Device, class T>
void SignalObserver<Device, T>::after_attention(const Chunk& chunk, std::size_t layer,
                                                const LayerActivations<T>& activations,
                                                HeadRows<const T> keys, MatrixView<const T>) {
  if (chunk.first_position >= context_) return;
  const std::size_t rows = std::min(chunk.used_rows, context_ - chunk.first_position);
  const std::size_t window_begin = context_ > kAttentionWindow ? context_ - kAttentionWindow : 0;
  add_attention_received(device_, shape_, activations.queries(config_), chunk.first_position, rows,
                         keys, activations.attention.log_normalisers.view(), window_begin,
                         all_[layer].view(), window_[layer].view());
}

template <class Device, class T>
void SignalObserver<Device, T>::after_layers(const Chunk& chunk, MatrixView<const T> residual) {
  for (std::size_t layer = 0; layer < n_layers_; ++layer) {
    const std::span<float> row =
        std::span(drift_).subspan(layer * n_ + chunk.first_position, chunk.used_rows);
    cosine_distances(device_, MatrixView<const T>(inputs_[layer].view()), residual, row);
  }
}

template <class Device, class T>
template <class Divisor>
std::vector<float> SignalObserver<Device, T>::divided(const std::vector<Matrix<double>>& sums,
                                                      Divisor&& divisor) const {
  std::vector<float> signal(n_layers_ * shape_.n_kv_heads * n_);
  Matrix<double> of_layer(Cpu::memory(), shape_.n_kv_heads, context_);
  for (std::size_t layer = 0; layer < n_layers_; ++layer) {
    copy_to_host(device_, sums[layer].view(), of_layer.view());
    for (std::size_t head = 0; head < shape_.n_kv_heads; ++head) {
      float* const row = signal.data() + (layer * shape_.n_kv_heads + head) * n_;
      for (std::size_t j = 0; j < context_; ++j) {
        row[j] = static_cast<float>(of_layer.row(head)[j] / divisor(j));
      }
    }
  }
  return signal;
}

template <class Device, class T>
std::vector<float> SignalObserver<Device, T>::attention_window() const {
  const auto queries = static_cast<double>(std::min(kAttentionWindow, context_));
  return divided(window_, [&](std::size_t) { return queries; });
}

template <class Device, class T>
std::vector<float> SignalObserver<Device, T>::attention_cumulative() const {
  return divided(all_, [&](std::size_t j) { return static_cast<double>(context_ - j); });
}

template class SignalObserver<Cpu, float>;
template class SignalObserver<Cpu, double>;
template class SignalObserver<Cuda, float>;
template class SignalObserver<Cuda, double>;

}  // namespace longshadow
