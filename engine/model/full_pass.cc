#include "engine/model/full_pass.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/backend/device.h"
#include "engine/config/rotary_frequencies.h"
#include "engine/core/range.h"
#include "engine/ops/common/rows.h"

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

/// A whole cache that fills as the text is read.
class FillingCache final : public LayerCache {
 public:
  FillingCache(Device& device, KvCache& cache) : device_(device), cache_(cache) {}

  KeysValuesView enter(std::size_t layer, RowBatch& rows) override {
    rows_ = rows.streams.front();
    return cache_.layer(layer);
  }
  ConstHeadsView store(std::size_t layer, KeysValuesView own) override {
    copy_head_rows(device_, own.keys, rows_.n_rows, cache_.keys(layer), rows_.prefix);
    copy_head_rows(device_, own.values, rows_.n_rows, cache_.values(layer), rows_.prefix);
    return cache_.layer(layer).keys;
  }

 private:
  Device& device_;
  KvCache& cache_;
  Stream rows_{};
};

/// Writes down which experts the positions of a text go to.
class ExpertObserver final : public LayerObserver {
 public:
  ExpertObserver(const ModelConfig& config, std::vector<std::vector<std::int32_t>>& experts)
      : config_(config), experts_(experts) {
    if (config.experts.count != 0) experts_.resize(config.n_layers);
  }

  void after_feed_forward(const Chunk& chunk, std::size_t layer,
                          const LayerActivations& activations) override {
    if (!config_.has_experts(layer)) return;
    const auto used = static_cast<std::ptrdiff_t>(chunk.used_rows * config_.experts.chosen);
    const auto begin = activations.feed_forward.experts->routes.experts.begin();
    experts_[layer].insert(experts_[layer].end(), begin, begin + used);
  }

 private:
  const ModelConfig& config_;
  std::vector<std::vector<std::int32_t>>& experts_;
};

}  // namespace

FullPass run_full_pass(Device& device, const Weights& weights, std::span<const std::int32_t> tokens,
                       std::span<LayerObserver* const> observers, const FullPassOptions& options) {
  const ModelConfig& config = weights.config;
  const std::size_t n = tokens.size();
  const std::size_t padded_n = round_up(n, kRowTile) + kRowTile;
  const std::vector<std::vector<double>> frequencies =
      layer_frequencies(config, std::max(n, options.text_tokens));
  FullPass pass{
      {tokens.begin(), tokens.end()},
      frequencies,
      RotaryTables(device, weights.element(), frequencies, n, layer_attention_factors(config)),
      KvCache(device.memory(), weights.element(), config.n_layers, config.n_kv_heads, n,
              config.head_dim),
      Tensor(device.memory(), weights.element(), padded_n, config.hidden_size),
      std::vector<Prediction>(n),
      {},
      {},
      {}};
  std::vector<std::int32_t> targets(tokens.begin() + 1, tokens.end());
  targets.push_back(0);

  const std::size_t chunk_rows = std::min(kPrefillChunk, round_up(n, kRowTile));
  LayerWalk walk(device, weights, chunk_rows);
  FillingCache cache(device, pass.cache);
  ExpertObserver experts(config, pass.experts);
  std::vector<LayerObserver*> all_observers(observers.begin(), observers.end());
  all_observers.push_back(&experts);
  for (std::size_t first = 0; first < n; first += kPrefillChunk) {
    const Chunk chunk{first, std::min(kPrefillChunk, n - first)};
    RowBatch rows = chunk_batch(chunk);
    const TensorView hidden = pass.hidden.view().row_range(first, rows.padded_rows());
    walk.run(tokens.subspan(first, chunk.used_rows), rows, pass.rotary, cache, hidden,
             ColumnOrder::forward, chunk, all_observers);

    const std::size_t skipped = std::max(options.predict_from, first) - first;
    if (skipped < chunk.used_rows) {
      const std::size_t from = skipped / kRowTile * kRowTile;
      const std::size_t count = chunk.used_rows - from;
      predict(device, ConstTensorView(hidden.row_range(from, hidden.rows - from)),
              weights.head.output, weights.head.packed_output, weights.head.logit_cap,
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

}  // namespace longshadow
