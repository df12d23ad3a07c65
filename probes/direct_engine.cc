#include "probes/direct_engine.h"

#include <algorithm>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/rms_norm.h"
#include "engine/ops/rows.h"
#include "probes/kl_from_full.h"

namespace longshadow {

template <class Device, class T>
DirectEngine<Device, T>::DirectEngine(Device& device, const Weights<T>& weights,
                                      const FullPass<T>& full, std::size_t horizon,
                                      std::size_t max_batch, ColumnOrder order)
    : device_(device),
      weights_(weights),
      full_(full),
      horizon_(horizon),
      order_(order),
      residual_(device.memory(), round_up(max_batch * horizon, kRowTile),
                weights.config.hidden_size),
      hidden_(device.memory(), residual_.rows() + kRowTile, weights.config.hidden_size),
      activations_(device, weights.config, residual_.rows()) {}

template <class Device, class T>
RowBatch DirectEngine<Device, T>::rows_of(std::span<const Counterfactual> batch) const {
  RowBatch rows;
  rows.positions.resize(round_up(batch.size() * horizon_, kRowTile));
  for (std::size_t b = 0; b < batch.size(); ++b) {
    const std::size_t first_row = b * horizon_;
    rows.streams.push_back({first_row, horizon_, batch[b].start});
    for (std::size_t r = 0; r < horizon_; ++r) {
      rows.positions[first_row + r] = static_cast<std::uint32_t>(batch[b].start + r);
    }
  }
  return rows;
}

template <class Device, class T>
void DirectEngine<Device, T>::run(std::span<const Counterfactual> batch,
                                  std::span<double> kl_nats) {
  const ModelConfig& config = weights_.config;
  RowBatch rows = rows_of(batch);
  const MatrixView<T> x = residual_.view().row_range(0, rows.padded_rows());
  std::vector<PairedRows> predicted;
  for (const Stream& stream : rows.streams) {
    gather_rows(device_, weights_.token_embedding.view(),
                std::span(full_.tokens).subspan(stream.prefix, horizon_),
                x.row_range(stream.first_row, horizon_));
    predicted.push_back({stream.first_row, horizon_, stream.prefix});
  }
  const BatchRemovals removed(batch, config.n_layers, config.n_kv_heads);
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    removed.apply(layer, rows.streams);
    attention_block(device_, config, weights_.layers[layer], full_.rotary, rows,
                    full_.cache.layer(layer), order_, activations_, x);
    feed_forward_block(device_, config, weights_.layers[layer], activations_, x);
  }
  const MatrixView<T> hidden = hidden_.view().row_range(0, rows.padded_rows());
  rms_norm(device_, MatrixView<const T>(x), weights_.final_norm.view(), config.norm_epsilon,
           hidden);
  std::vector<double> kl_rows(hidden_.rows());
  kl_from_full(device_, weights_, full_, predicted, hidden_.view(), kl_rows);
  std::copy_n(kl_rows.begin(), batch.size() * horizon_, kl_nats.begin());
}

template class DirectEngine<Cpu, float>;
template class DirectEngine<Cpu, double>;
template class DirectEngine<Cuda, float>;
template class DirectEngine<Cuda, double>;

}  // namespace longshadow
