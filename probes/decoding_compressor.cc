#include "probes/decoding_compressor.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/transfer.h"
#include "engine/core/error.h"
#include "engine/ops/attention_received.h"
#include "engine/ops/prediction.h"
#include "engine/ops/rows.h"

namespace longshadow {
namespace {

/// A range of rows of the only head there is, on the host in f32.
template <class Device, class T>
Matrix<float> rows_of(Device& device, HeadRows<const T> heads, const Range& range) {
  Matrix<float> rows(Cpu::memory(), range.size(), heads.head_dim);
  copy_to_host(device, heads.head(0).row_range(range.begin, range.size()), rows.view());
  return rows;
}

}  // namespace

void check_decoding(const PolicyTraits& traits, const DecodingInterval& interval) {
  if (interval.every == 0) throw UsageError("--every: expected at least 1 token, found 0");
  if (traits.queries || traits.influence != Influence::none) {
    throw UsageError(
        "--every: the policy looks at what only a whole prompt tells (all queries before rotation, "
        "or measured influence); cut by another one, such as infokv, snapkv or knorm");
  }
  if (traits.attention_queries > interval.every) {
    throw UsageError("--every " + std::to_string(interval.every) +
                     ": the policy sums the attention of " +
                     (traits.attention_queries == kAllQueries
                          ? "all queries"
                          : std::to_string(traits.attention_queries) + " queries") +
                     ", and only those since the last cut are kept; cut less often, or by a policy "
                     "of a smaller window");
  }
  check_prompt(traits, interval.target);
}

template <class Device, class T>
DecodingCompressor<Device, T>::DecodingCompressor(Device& device, const ModelConfig& config,
                                                  const Policy& policy,
                                                  const DecodingInterval& interval,
                                                  TokenSignals prompt, std::uint64_t seed)
    : device_(device),
      config_(config),
      policy_(policy),
      interval_(interval),
      signals_(std::move(prompt)),
      seed_(seed) {
  const PolicyTraits& traits = policy.traits();
  check_decoding(traits, interval);
  const std::size_t window = traits.attention_queries;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    if (traits.drift && layer + 1 < config.n_layers) {
      outputs_.emplace_back(device.memory(), 1, config.hidden_size);
    }
    if (window == 0) continue;
    queries_.emplace_back(device.memory(), config.n_heads * (window + kRowTile), config.head_dim);
    log_normalisers_.emplace_back(device.memory(), window, config.n_heads);
  }
}

template <class Device, class T>
void DecodingCompressor<Device, T>::before_layer(const Chunk&, std::size_t layer,
                                                 MatrixView<const T> residual) {
  if (layer == 0 || outputs_.empty()) return;
  copy_rows(device_, residual.row_range(0, 1), outputs_[layer - 1].view());
}

template <class Device, class T>
void DecodingCompressor<Device, T>::after_attention(const Chunk&, std::size_t layer,
                                                    const LayerActivations<T>& activations,
                                                    HeadRows<const T>, MatrixView<const T>) {
  const std::size_t window = policy_.traits().attention_queries;
  const std::size_t first = interval_.every - window;  // step that the window begins with
  if (window == 0 || since_cut_ < first) return;
  const HeadRows<const T> from = activations.queries(config_);
  const HeadRows<T> to = as_heads(queries_[layer].view(), config_.n_heads);
  copy_rows(device_, from.across(0), to.across(since_cut_ - first));
  copy_rows(device_, activations.log_normalisers.view().row_range(0, 1),
            log_normalisers_[layer].view().row_range(since_cut_ - first, 1));
}

template <class Device, class T>
void DecodingCompressor<Device, T>::after_layers(const Chunk&, MatrixView<const T> residual) {
  if (!policy_.traits().drift) return;
  for (std::size_t layer = 0; layer < signals_.drift.size(); ++layer) {
    float distance = 0;  // the last layer's
    if (layer < outputs_.size()) {
      cosine_distances(device_, std::as_const(outputs_[layer]).view(), residual,
                       std::span(&distance, 1));
    }
    signals_.drift[layer].push_back(distance);
  }
}

template <class Device, class T>
void DecodingCompressor<Device, T>::after_step(std::span<const T> logits, std::size_t entropy_top_k,
                                               GrowingCache<Device, T>& cache) {
  if (policy_.traits().entropy) {
    signals_.entropy.push_back(static_cast<float>(entropy_of_top_k(logits, entropy_top_k)));
  }
  if (++since_cut_ < interval_.every) return;
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    const CachedLayer<T> rows = cache.read(layer);
    std::vector<std::vector<std::uint32_t>> kept;
    for (std::size_t head = 0; head < config_.n_kv_heads; ++head) {
      kept.push_back(choose(layer, head, rows, cache.tokens(layer, head)));
    }
    cache.keep(layer, kept);
  }
  since_cut_ = 0;
  ++cuts_;
}

template <class Device, class T>
std::vector<std::uint32_t> DecodingCompressor<Device, T>::choose(
    std::size_t layer, std::size_t head, const CachedLayer<T>& rows,
    const std::vector<std::uint32_t>& tokens) const {
  const std::size_t n = tokens.size();
  if (n <= interval_.target) {
    std::vector<std::uint32_t> all(n);
    std::iota(all.begin(), all.end(), 0U);
    return all;
  }
  const Range& range = rows.by_head[head];
  const Matrix<float> keys = rows_of(device_, rows.rows.keys, range);
  const Matrix<float> values = rows_of(device_, rows.rows.values, range);
  const Matrix<double> received = attention(
      layer, head, {rows.rows.keys.head(0).row(range.begin), 1, n + kRowTile, config_.head_dim}, n);
  LayerView view;
  view.place = {layer, config_.n_layers};
  view.n = n;
  view.keys = as_heads(keys.view(), 1);
  view.values = as_heads(values.view(), 1);
  view.attention = received.view();
  view.tokens = tokens;
  view.entropy = signals_.entropy;
  if (policy_.traits().drift) view.drift = signals_.drift[layer];
  view.seed = seed_ + cuts_ * config_.n_kv_heads + head + 1;
  // Half a slot more than the target, so that rounding down gives it exactly.
  const double share = (static_cast<double>(interval_.target) + 0.5) / static_cast<double>(n);
  return keep(policy_, view, share).by_head[0];
}

template <class Device, class T>
Matrix<double> DecodingCompressor<Device, T>::attention(std::size_t layer, std::size_t head,
                                                        HeadRows<const T> keys,
                                                        std::size_t n) const {
  if (queries_.empty()) return {};
  const AttentionShape shape{config_.group_size(), 1, config_.head_dim};
  const std::size_t window = log_normalisers_[layer].rows();
  const HeadRows<const T> all = as_heads(queries_[layer].view(), config_.n_heads);
  const std::size_t first_head = head * shape.n_heads;
  const HeadRows<const T> queries{all.head(first_head).data, shape.n_heads, all.rows, all.head_dim};
  Matrix<double> received(device_.memory(), 1, n), outside(device_.memory(), 1, n);
  add_attention_received(device_, shape, queries, n - window, window, keys,
                         log_normalisers_[layer].view().column_range(first_head, shape.n_heads), 0,
                         outside.view(), received.view());
  Matrix<double> host(Cpu::memory(), 1, n);
  copy_to_host(device_, std::as_const(received).view(), host.view());
  return host;
}

template class DecodingCompressor<Cpu, float>;
template class DecodingCompressor<Cpu, double>;
template class DecodingCompressor<Cuda, float>;
template class DecodingCompressor<Cuda, double>;

}  // namespace longshadow
