#include "probes/compressed_future.h"

#include <algorithm>
#include <limits>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/prediction.h"
#include "engine/ops/rms_norm.h"
#include "engine/ops/rows.h"
#include "probes/kl_from_full.h"

namespace longshadow {
namespace {

/// The position that the first token behind the compressed context has.
std::size_t next_position(const Compression& compression, std::size_t layer, std::size_t context) {
  return compression.rotates_keys ? compression.layers[layer].by_head.front().size() : context;
}

}  // namespace

template <class Device, class T>
CompressedFuture<Device, T>::CompressedFuture(Device& device, const Weights<T>& weights,
                                              const FullPass<T>& full, std::size_t context,
                                              std::size_t horizon, std::size_t max_batch)
    : device_(device),
      weights_(weights),
      full_(full),
      context_(context),
      horizon_(horizon),
      residual_(device.memory(), round_up(max_batch * horizon, kRowTile),
                weights.config.hidden_size),
      hidden_(device.memory(), residual_.rows() + kRowTile, weights.config.hidden_size),
      activations_(device, weights.config, residual_.rows()) {}

template <class Device, class T>
void CompressedFuture<Device, T>::enter_layer(std::size_t layer, std::span<const Compression> batch,
                                              const CompressedCache<T>& cache,
                                              RowBatch& rows) const {
  for (std::size_t b = 0; b < batch.size(); ++b) {
    Stream& stream = rows.streams[b];
    stream.ragged_prefix = cache.rows(layer, b);
    const std::size_t next = next_position(batch[b], layer, context_);
    for (std::size_t h = 0; h < horizon_; ++h) {
      rows.positions[stream.first_row + h] = static_cast<std::uint32_t>(next + h);
    }
  }
}

template <class Device, class T>
std::vector<FutureOnCache> CompressedFuture<Device, T>::run(std::span<const Compression> batch) {
  const ModelConfig& config = weights_.config;
  const CompressedCache<T> cache(device_, full_.cache, batch, full_.frequencies);
  const std::span<const TokenId> tokens(full_.tokens);
  RowBatch rows;
  rows.positions.resize(round_up(batch.size() * horizon_, kRowTile));
  const MatrixView<T> x = residual_.view().row_range(0, rows.padded_rows());
  std::vector<PairedRows> beside_full;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    const std::size_t first_row = b * horizon_;
    rows.streams.push_back({.first_row = first_row, .n_rows = horizon_, .prefix = 0});
    beside_full.push_back({first_row, horizon_, context_});
    gather_rows(device_, weights_.token_embedding.view(), tokens.subspan(context_, horizon_),
                x.row_range(first_row, horizon_));
  }
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    enter_layer(layer, batch, cache, rows);
    attention_block(device_, config, weights_.layers[layer], full_.rotary, rows, cache.layer(layer),
                    ColumnOrder::forward, activations_, x);
    feed_forward_block(device_, config, weights_.layers[layer], activations_, x);
  }
  const MatrixView<T> hidden = hidden_.view().row_range(0, rows.padded_rows());
  rms_norm(device_, MatrixView<const T>(x), weights_.final_norm.view(), config.norm_epsilon,
           hidden);

  const std::span<const TokenId> next_tokens = tokens.subspan(context_ + 1, horizon_ - 1);
  std::vector<TokenId> targets;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    targets.insert(targets.end(), next_tokens.begin(), next_tokens.end());
    targets.push_back(0);  // the text has ended
  }
  std::vector<Prediction> predictions(targets.size());
  predict(device_, MatrixView<const T>(hidden), weights_.output(), weights_.packed_output,
          std::span<const std::int32_t>(targets), 1, std::span(predictions));
  std::vector<double> kl_rows(hidden_.rows());
  kl_from_full(device_, weights_, full_, std::span<const PairedRows>(beside_full), hidden_.view(),
               std::span(kl_rows));

  std::vector<FutureOnCache> futures(batch.size());
  for (std::size_t b = 0; b < batch.size(); ++b) {
    FutureOnCache& future = futures[b];
    future.bytes = cache.bytes(b);
    for (std::size_t h = 0; h < horizon_; ++h) {
      const Prediction& prediction = predictions[b * horizon_ + h];
      future.kl.push_back(kl_rows[b * horizon_ + h]);
      future.top1.push_back(prediction.likeliest == full_.likeliest[context_ + h] ? 1 : 0);
      future.surprisal.push_back(static_cast<float>(prediction.target_surprisal));
    }
    future.surprisal.back() = std::numeric_limits<float>::quiet_NaN();
  }
  return futures;
}

template class CompressedFuture<Cpu, float>;
template class CompressedFuture<Cpu, double>;
template class CompressedFuture<Cuda, float>;
template class CompressedFuture<Cuda, double>;

}  // namespace longshadow
