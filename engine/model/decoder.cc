#include "engine/model/decoder.h"

#include "engine/backend/device.h"
#include "engine/backend/transfer.h"
#include "engine/config/rotary_frequencies.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {
namespace {

/// Shows a growing cache to the token that it grows by.
class TokenCache final : public LayerCache {
 public:
  TokenCache(GrowingCache& cache, std::size_t token) : cache_(cache), token_(token) {}

  KeysValuesView enter(std::size_t layer, RowBatch& rows) override {
    rows.positions[0] = static_cast<std::uint32_t>(cache_.next_position(layer, token_));
    const CachedLayer cached = cache_.read(layer);
    rows.streams[0].ragged_prefix = cached.by_head;
    return cached.rows;
  }
  ConstHeadsView store(std::size_t layer, KeysValuesView own) override {
    cache_.append(layer, own, token_);
    return {};
  }

 private:
  GrowingCache& cache_;
  std::size_t token_;
};

}  // namespace

Decoder::Decoder(Device& device, const Weights& weights, std::size_t max_tokens)
    : device_(device),
      weights_(weights),
      rotary_(device, weights.element(), layer_frequencies(weights.config, max_tokens), max_tokens,
              layer_attention_factors(weights.config)),
      walk_(device, weights, kFewRows),
      hidden_(device.memory(), weights.element(), kFewRows, weights.config.hidden_size),
      logits_(device.memory(), weights.element(), kFewRows, weights.config.vocab_size),
      host_logits_(host_memory(), weights.element(), 1, weights.config.vocab_size) {}

ConstTensorView Decoder::logits(ConstTensorView hidden) {
  linear(device_, hidden.row_range(0, kFewRows), weights_.head.packed_output, logits_.view());
  copy_to_host(device_, logits_.view().row_range(0, 1), host_logits_.view());
  if (weights_.head.logit_cap != 0) {
    with_element<float, double>("Decoder", host_logits_.element(), [&]<class T>() {
      const MatrixView<T> row = host_logits_.view().as<T>();
      cap_logits(row.data, row.cols, weights_.head.logit_cap);
    });
  }
  return host_logits_.view();
}

ConstTensorView Decoder::step(std::int32_t token, std::size_t index, GrowingCache& cache,
                              std::span<LayerObserver* const> observers) {
  RowBatch row;
  row.positions.resize(kFewRows);
  row.streams.push_back({.first_row = 0, .n_rows = 1, .prefix = 0});
  TokenCache token_cache(cache, index);
  walk_.run(std::span(&token, 1), row, rotary_, token_cache, hidden_.view(), ColumnOrder::forward,
            {index, 1}, observers);
  return logits(hidden_.view());
}

}  // namespace longshadow
