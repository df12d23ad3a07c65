#include "engine/model/decoder.h"

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/transfer.h"
#include "engine/config/rotary_frequencies.h"
#include "engine/ops/projection/linear.h"

namespace longshadow {
namespace {

/// What a growing cache is to the token that it grows by.
template <class Device, class T>
class TokenCache final : public LayerCache<T> {
 public:
  TokenCache(GrowingCache<Device, T>& cache, std::size_t token) : cache_(cache), token_(token) {}

  KeysValues<const T> enter(std::size_t layer, RowBatch& rows) override {
    rows.positions[0] = static_cast<std::uint32_t>(cache_.next_position(layer, token_));
    const CachedLayer<T> cached = cache_.read(layer);
    rows.streams[0].ragged_prefix = cached.by_head;
    return cached.rows;
  }
  HeadRows<const T> store(std::size_t layer, KeysValues<const T> own) override {
    cache_.append(layer, own, token_);
    return {};
  }

 private:
  GrowingCache<Device, T>& cache_;
  std::size_t token_;
};

}  // namespace

template <class Device, class T>
Decoder<Device, T>::Decoder(Device& device, const Weights<T>& weights, std::size_t max_tokens)
    : device_(device),
      weights_(weights),
      rotary_(make_rotary_table<T>(
          device, rotary_frequencies(weights.config.rope, weights.config.head_dim, max_tokens),
          max_tokens, weights.config.rope.attention_factor)),
      walk_(device, weights, kFewRows),
      hidden_(device.memory(), kFewRows, weights.config.hidden_size),
      logits_(device.memory(), kFewRows, weights.config.vocab_size),
      host_logits_(Cpu::memory(), 1, weights.config.vocab_size) {}

template <class Device, class T>
std::span<const T> Decoder<Device, T>::logits(MatrixView<const T> hidden) {
  linear(device_, hidden.row_range(0, kFewRows), weights_.head.packed_output, logits_.view());
  copy_to_host(device_, std::as_const(logits_).view().row_range(0, 1), host_logits_.view());
  return {host_logits_.data(), host_logits_.cols()};
}

template <class Device, class T>
std::span<const T> Decoder<Device, T>::step(std::int32_t token, std::size_t index,
                                            GrowingCache<Device, T>& cache,
                                            std::span<LayerObserver<T>* const> observers) {
  RowBatch row;
  row.positions.resize(kFewRows);
  row.streams.push_back({.first_row = 0, .n_rows = 1, .prefix = 0});
  TokenCache<Device, T> token_cache(cache, index);
  walk_.run(std::span(&token, 1), row, rotary_, token_cache, hidden_.view(), ColumnOrder::forward,
            {index, 1}, observers);
  return logits(hidden_.view());
}

template class Decoder<Cpu, float>;
template class Decoder<Cpu, double>;
template class Decoder<Cuda, float>;
template class Decoder<Cuda, double>;

}  // namespace longshadow
