#include "engine/model/full_pass.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/backend/cuda/cuda.h"
#include "engine/core/range.h"
#include "engine/model/rotary_frequencies.h"
#include "engine/ops/rms_norm.h"
#include "engine/ops/rows.h"

namespace longshadow {
namespace {

RowBatch chunk_batch(const Chunk& chunk) {
  RowBatch batch;
  batch.positions.resize(round_up(chunk.used_rows, kRowTile));
  std::iota(batch.positions.begin(),
            batch.positions.begin() + static_cast<std::ptrdiff_t>(chunk.used_rows),
            static_cast<std::uint32_t>(chunk.first_position));
  batch.streams = {{.first_row = 0, .n_rows = chunk.used_rows, .prefix = chunk.first_position}};
  return batch;
}

}  // namespace

template <class Device, class T>
FullPass<T> run_full_pass(Device& device, const Weights<T>& weights,
                          std::span<const std::int32_t> tokens,
                          std::span<FullPassObserver<T>* const> observers,
                          const FullPassOptions& options) {
  const ModelConfig& config = weights.config;
  const std::size_t n = tokens.size();
  const std::size_t padded_n = round_up(n, kRowTile) + kRowTile;
  const std::vector<double> frequencies =
      rotary_frequencies(config.rope, config.head_dim, std::max(n, options.text_tokens));
  FullPass<T> pass{
      {tokens.begin(), tokens.end()},
      frequencies,
      make_rotary_table<T>(device, frequencies, n, config.rope.attention_factor),
      KvCache<T>(device.memory(), config.n_layers, config.n_kv_heads, n, config.head_dim),
      Matrix<T>(device.memory(), padded_n, config.hidden_size),
      std::vector<Prediction>(n),
      {},
      {}};
  std::vector<std::int32_t> targets(tokens.begin() + 1, tokens.end());
  targets.push_back(0);

  const std::size_t chunk_rows = std::min(kPrefillChunk, round_up(n, kRowTile));
  Matrix<T> residual(device.memory(), chunk_rows, config.hidden_size);
  LayerActivations<T> activations(device, config, chunk_rows);
  for (std::size_t first = 0; first < n; first += kPrefillChunk) {
    const Chunk chunk{first, std::min(kPrefillChunk, n - first)};
    const RowBatch batch = chunk_batch(chunk);
    const MatrixView<T> x = residual.view().row_range(0, batch.padded_rows());
    gather_rows(device, weights.token_embedding.view(),
                std::span(tokens).subspan(first, chunk.used_rows), x);

    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      for (auto* observer : observers) observer->before_layer(chunk, layer, x);
      const KeysValues<T> cache = pass.cache.layer(layer);
      attention_block(device, config, weights.layers[layer], pass.rotary, batch,
                      KeysValues<const T>(cache), ColumnOrder::forward, activations, x);
      const KeysValues<const T> own = activations.keys_values(config);
      copy_head_rows(device, own.keys, chunk.used_rows, cache.keys, first);
      copy_head_rows(device, own.values, chunk.used_rows, cache.values, first);
      for (auto* observer : observers) {
        observer->after_attention(chunk, layer, activations, cache.keys, x);
      }
      feed_forward_block(device, config, weights.layers[layer], activations, x);
      for (auto* observer : observers) observer->after_feed_forward(chunk, layer, activations);
    }
    for (auto* observer : observers) observer->after_layers(chunk, x);

    const MatrixView<T> hidden = pass.hidden.view().row_range(first, batch.padded_rows());
    rms_norm(device, MatrixView<const T>(x), weights.final_norm.view(), config.norm_epsilon,
             hidden);
    const std::size_t skipped = std::max(options.predict_from, first) - first;
    if (skipped < chunk.used_rows) {
      const std::size_t from = skipped / kRowTile * kRowTile;
      const std::size_t count = chunk.used_rows - from;
      predict(device, MatrixView<const T>(hidden.row_range(from, hidden.rows - from)),
              weights.output(), weights.packed_output,
              std::span<const std::int32_t>(targets).subspan(first + from, count),
              options.entropy_top_k, std::span(pass.predictions).subspan(first + from, count));
    }
    options.progress(first + chunk.used_rows);
  }
  for (const Prediction& prediction : pass.predictions) {
    pass.log_normalisers.push_back(prediction.log_normaliser);
    pass.likeliest.push_back(prediction.likeliest);
  }
  return pass;
}

#define LONGSHADOW_INSTANTIATE(Device, T)                                                       \
  template FullPass<T> run_full_pass(Device&, const Weights<T>&, std::span<const std::int32_t>, \
                                     std::span<FullPassObserver<T>* const>,                     \
                                     const FullPassOptions&);
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
