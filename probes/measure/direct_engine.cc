#include "probes/measure/direct_engine.h"

#include <algorithm>

#include "engine/backend/device.h"
#include "probes/measure/kl_from_full.h"
#include "probes/measure/rerouted.h"

namespace longshadow {
namespace {

/// The full pass's cache, of which each counterfactual's stream misses what is removed.
class EvictedCache final : public LayerCache {
 public:
  EvictedCache(const KvCache& cache, std::span<const Counterfactual> batch,
               const ModelConfig& config)
      : cache_(cache), removed_(batch, config.n_layers, config.n_kv_heads) {}

  KeysValuesView enter(std::size_t layer, RowBatch& rows) override {
    removed_.apply(layer, rows.streams);
    return cache_.layer(layer);
  }

 private:
  const KvCache& cache_;
  BatchRemovals removed_;
};

/// Compares the experts that evicted rows go to with the full pass's.
class RouteObserver final : public LayerObserver {
 public:
  RouteObserver(const FullPass& full, const ModelConfig& config,
                std::span<const PairedRows> text_rows, std::span<double> rerouted)
      : full_(full), config_(config), text_rows_(text_rows), rerouted_(rerouted) {}

  void after_feed_forward(const Chunk&, std::size_t layer,
                          const LayerActivations& activations) override {
    if (!config_.has_experts(layer)) return;
    share_of_rerouted(full_, layer, activations.feed_forward.experts->routes, text_rows_,
                      rerouted_);
  }

 private:
  const FullPass& full_;
  const ModelConfig& config_;
  std::span<const PairedRows> text_rows_;
  std::span<double> rerouted_;
};

}  // namespace

DirectEngine::DirectEngine(Device& device, const Weights& weights, const FullPass& full,
                           std::size_t horizon, std::size_t max_batch, ColumnOrder order)
    : device_(device),
      weights_(weights),
      full_(full),
      horizon_(horizon),
      order_(order),
      walk_(device, weights, round_up(max_batch * horizon, kRowTile)),
      hidden_(device.memory(), weights.element(),
              round_up(max_batch * horizon, kRowTile) + kRowTile, weights.config.hidden_size) {}

RowBatch DirectEngine::rows_of(std::span<const Counterfactual> batch) const {
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

void DirectEngine::run(std::span<const Counterfactual> batch, std::span<double> kl_nats,
                       std::span<double> rerouted) {
  RowBatch rows = rows_of(batch);
  std::vector<std::int32_t> tokens;
  for (const Stream& stream : rows.streams) {
    const auto read = std::span(full_.tokens).subspan(stream.prefix, horizon_);
    tokens.insert(tokens.end(), read.begin(), read.end());
  }
  const std::vector<PairedRows> text_rows = text_rows_of(batch, horizon_);
  EvictedCache cache(full_.cache, batch, weights_.config);
  std::ranges::fill(rerouted, 0.0);
  RouteObserver routes(full_, weights_.config, text_rows, rerouted);
  LayerObserver* const observer = &routes;
  walk_.run(tokens, rows, full_.rotary, cache, hidden_.view().row_range(0, rows.padded_rows()),
            order_, {}, std::span(&observer, 1));
  std::vector<double> kl_rows(hidden_.rows());
  kl_from_full(device_, weights_, full_, text_rows, hidden_.view(), kl_rows);
  std::copy_n(kl_rows.begin(), batch.size() * horizon_, kl_nats.begin());
}

}  // namespace longshadow
