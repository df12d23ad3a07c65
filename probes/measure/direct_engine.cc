#include "probes/measure/direct_engine.h"

#include <algorithm>

#include "engine/backend/device.h"
#include "probes/measure/kl_from_full.h"

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

void DirectEngine::run(std::span<const Counterfactual> batch, std::span<double> kl_nats) {
  RowBatch rows = rows_of(batch);
  std::vector<std::int32_t> tokens;
  std::vector<PairedRows> predicted;
  for (const Stream& stream : rows.streams) {
    const auto read = std::span(full_.tokens).subspan(stream.prefix, horizon_);
    tokens.insert(tokens.end(), read.begin(), read.end());
    predicted.push_back({stream.first_row, horizon_, stream.prefix});
  }
  EvictedCache cache(full_.cache, batch, weights_.config);
  walk_.run(tokens, rows, full_.rotary, cache, hidden_.view().row_range(0, rows.padded_rows()),
            order_);
  std::vector<double> kl_rows(hidden_.rows());
  kl_from_full(device_, weights_, full_, predicted, hidden_.view(), kl_rows);
  std::copy_n(kl_rows.begin(), batch.size() * horizon_, kl_nats.begin());
}

}  // namespace longshadow
