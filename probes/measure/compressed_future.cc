#include "probes/measure/compressed_future.h"

#include <algorithm>
#include <limits>

#include "engine/backend/device.h"
#include "engine/ops/vocabulary/prediction.h"
#include "probes/measure/kl_from_full.h"

namespace longshadow {
namespace {

/// The position that the first token behind the compressed context has.
std::size_t next_position(const Compression& compression, std::size_t layer, std::size_t context) {
  return compression.rotates_keys_of(layer) ? compression.layers[layer].by_head.front().size()
                                            : context;
}

/// Compressions of one context's cache, one for each stream of rows that follow the context.
class CompressedCaches final : public LayerCache {
 public:
  CompressedCaches(const CompressedCache& cache, std::span<const Compression> batch,
                   std::size_t context)
      : cache_(cache), batch_(batch), context_(context) {}

  KeysValuesView enter(std::size_t layer, RowBatch& rows) override {
    for (std::size_t b = 0; b < batch_.size(); ++b) {
      Stream& stream = rows.streams[b];
      stream.ragged_prefix = cache_.rows(layer, b);
      stream.ragged_positions = cache_.tokens(layer);
      stream.first_position = context_;
      const std::size_t next = next_position(batch_[b], layer, context_);
      for (std::size_t r = 0; r < stream.n_rows; ++r) {
        rows.positions[stream.first_row + r] = static_cast<std::uint32_t>(next + r);
      }
    }
    return cache_.layer(layer);
  }

 private:
  const CompressedCache& cache_;
  std::span<const Compression> batch_;
  std::size_t context_;
};

}  // namespace

CompressedFuture::CompressedFuture(Device& device, const Weights& weights, const FullPass& full,
                                   std::size_t context, std::size_t horizon, std::size_t max_batch)
    : device_(device),
      weights_(weights),
      full_(full),
      context_(context),
      horizon_(horizon),
      walk_(device, weights, round_up(max_batch * horizon, kRowTile)),
      hidden_(device.memory(), weights.element(),
              round_up(max_batch * horizon, kRowTile) + kRowTile, weights.config.hidden_size) {}

std::vector<FutureOnCache> CompressedFuture::run(std::span<const Compression> batch) {
  const CompressedCache cache(device_, full_.cache, batch, full_.frequencies);
  const auto text = std::span<const std::int32_t>(full_.tokens).subspan(context_, horizon_);
  RowBatch rows;
  rows.positions.resize(round_up(batch.size() * horizon_, kRowTile));
  std::vector<std::int32_t> tokens;
  std::vector<PairedRows> beside_full;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    const std::size_t first_row = b * horizon_;
    rows.streams.push_back({.first_row = first_row, .n_rows = horizon_, .prefix = 0});
    beside_full.push_back({first_row, horizon_, context_});
    tokens.insert(tokens.end(), text.begin(), text.end());
  }
  CompressedCaches caches(cache, batch, context_);
  const TensorView hidden = hidden_.view().row_range(0, rows.padded_rows());
  walk_.run(tokens, rows, full_.rotary, caches, hidden);

  std::vector<std::int32_t> targets;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    targets.insert(targets.end(), text.begin() + 1, text.end());
    targets.push_back(0);  // the text has ended
  }
  std::vector<Prediction> predictions(targets.size());
  predict(device_, hidden, weights_.head.output, weights_.head.packed_output,
          weights_.head.logit_cap, targets, 1, std::span(predictions));
  std::vector<double> kl_rows(hidden_.rows());
  kl_from_full(device_, weights_, full_, beside_full, hidden_.view(), std::span(kl_rows));

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

}  // namespace longshadow
