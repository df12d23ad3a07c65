#include "probes/compression/decoding_compressor.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>

#include "engine/backend/device.h"
#include "engine/backend/transfer.h"
#include "engine/core/error.h"
#include "engine/model/output_gram.h"
#include "engine/ops/attention_statistics/attention_received.h"
#include "engine/ops/attention_statistics/softmax_normalisers.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/vocabulary/prediction.h"
#include "probes/gather/policy_inputs.h"

namespace longshadow {
namespace {

/// Copies the rows of some heads, equally many of each, to the host in f32: [heads n, d].
Matrix<float> rows_of(Device& device, ConstHeadsView rows, std::span<const Range> by_head) {
  const std::size_t n = by_head[0].size();
  Matrix<float> host(host_memory(), by_head.size() * n, rows.head_dim);
  for (std::size_t head = 0; head < by_head.size(); ++head) {
    copy_to_host(device, rows.all().row_range(by_head[head].begin, n),
                 host.view().row_range(head * n, n));
  }
  return host;
}

/// The layers that cuts compress: those without a window.
std::vector<std::size_t> layers_to_cut(const GrowingCache& cache) {
  std::vector<std::size_t> layers;
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    if (!cache.has_window(layer)) layers.push_back(layer);
  }
  return layers;
}

/// The mean number of slots of a KV head of these layers.
double mean_slots(const GrowingCache& cache, std::span<const std::size_t> layers,
                  std::size_t n_kv_heads) {
  std::size_t slots = 0;
  for (const std::size_t layer : layers) {
    for (std::size_t head = 0; head < n_kv_heads; ++head) slots += cache.tokens(layer, head).size();
  }
  return static_cast<double>(slots) / static_cast<double>(layers.size() * n_kv_heads);
}

/// Number of last queries that a policy looks at.
std::size_t last_queries(const PolicyTraits& traits) {
  return std::max(traits.attention_queries, traits.window_queries);
}

std::string describe(const DecodingInterval& interval) {
  if (interval.target) return "`target` " + std::to_string(*interval.target);
  if (!interval.target_share) return "`every` " + std::to_string(interval.every);
  std::ostringstream share;
  share << "`target_share` " << *interval.target_share;
  return share.str();
}

void check_target(const Policy& policy, const DecodingInterval& interval) {
  if (interval.target && interval.target_share) {
    throw UsageError(
        "`target` and `target_share`: either says how many slots a cut leaves; give one of them");
  }
  if (interval.target_share && !(*interval.target_share > 0 && *interval.target_share < 1)) {
    throw UsageError(
        describe(interval) +
        ": expected the share of the tokens so far that a cut leaves, above 0 and below 1");
  }
  const bool has_target = interval.target || interval.target_share;
  if (!has_target && !policy.kept_while_writing(interval.every, 0)) {
    throw UsageError(describe(interval) +
                     ": the policy has no rule of its own for how many slots a cut leaves; give "
                     "`target` N, a count, or `target_share` S, a share of the tokens so far");
  }
}

/// The share to drop of n tokens so that `slots` are left: half a slot fewer, so that rounding down
/// gives these exactly.
double compression_to(std::size_t slots, std::size_t n) {
  return 1 - (static_cast<double>(slots) + 0.5) / static_cast<double>(n);
}

void check_first_cut(const Policy& policy, const DecodingInterval& interval,
                     const CacheShape& shape, std::size_t prompt_tokens) {
  const PolicyTraits& traits = policy.traits();
  const std::size_t n = prompt_tokens + steps_to_first_cut(traits, interval);
  const std::size_t left = slots_after_cut(policy, interval, n, 0);
  const std::size_t n_protected = traits.n_sink + traits.n_recent;
  if (left <= n_protected) {
    throw UsageError(describe(interval) + ": the policy protects the first " +
                     std::to_string(traits.n_sink) + " and the last " +
                     std::to_string(traits.n_recent) + " tokens, so a cut must leave more than " +
                     std::to_string(n_protected) + " slots, and the first, at " +
                     std::to_string(n) + " tokens, leaves " + std::to_string(left) +
                     "; leave more, or cut less often");
  }
  if (!interval.target && left >= n) {
    throw UsageError(describe(interval) + ": the first cut, at " + std::to_string(n) +
                     " tokens, has nothing to cut, as it leaves " + std::to_string(left) +
                     " slots; leave fewer");
  }
  if (left < n) policy.budget(shape, n, compression_to(left, n));
}

}  // namespace

std::size_t steps_to_first_cut(const PolicyTraits& traits, const DecodingInterval& interval) {
  return interval.every + (traits.keeps_prompt ? traits.n_recent : 0);
}

std::size_t slots_after_cut(const Policy& policy, const DecodingInterval& interval, std::size_t n,
                            std::size_t cut) {
  if (interval.target) return *interval.target;
  if (interval.target_share) {
    // The share as typed and the product are each off by half an ulp at most.
    constexpr double kUp = 1 + 2 * std::numeric_limits<double>::epsilon();
    return static_cast<std::size_t>(*interval.target_share * static_cast<double>(n) * kUp);
  }
  const PolicyTraits& traits = policy.traits();
  return traits.n_sink + traits.n_recent + *policy.kept_while_writing(interval.every, cut);
}

void check_decoding(const Policy& policy, const DecodingInterval& interval, const CacheShape& shape,
                    std::size_t prompt_tokens) {
  const PolicyTraits& traits = policy.traits();
  constexpr std::size_t kMostTokens = std::numeric_limits<std::uint32_t>::max();
  if (interval.every == 0 || interval.every > kMostTokens) {
    throw UsageError("`every`: expected from 1 to " + std::to_string(kMostTokens) +
                     " tokens, found " + std::to_string(interval.every));
  }
  if (traits.queries || traits.influence != Influence::none ||
      traits.replayed != Replayed::nothing) {
    throw UsageError(
        "`every`: the policy looks at what only a whole prompt tells (all queries before rotation, "
        "measured influence, or a second pass); cut by another one, such as infokv, snapkv or "
        "knorm");
  }
  if (traits.across_layers) {
    throw UsageError(
        "`every`: the policy divides slots between layers by the scores of all of them, and while "
        "text is written each layer is cut by itself; use one that does not");
  }
  if (last_queries(traits) > interval.every) {
    throw UsageError("`every` " + std::to_string(interval.every) +
                     ": the policy looks at the attention of " +
                     (traits.attention_queries == kAllQueries
                          ? "all queries"
                          : std::to_string(last_queries(traits)) + " queries") +
                     ", and only those since the last cut are kept; cut less often, or by a policy "
                     "of a smaller window");
  }
  check_target(policy, interval);
  check_first_cut(policy, interval, shape, prompt_tokens);
}

DecodingCompressor::DecodingCompressor(Device& device, const Weights& weights, const Policy& policy,
                                       const DecodingInterval& interval, TokenSignals prompt,
                                       std::uint64_t seed)
    : device_(device),
      config_(weights.config),
      policy_(policy),
      interval_(interval),
      signals_(std::move(prompt)),
      seed_(seed),
      steps_to_cut_(steps_to_first_cut(policy.traits(), interval)),
      window_(last_queries(policy.traits())) {
  const PolicyTraits& traits = policy.traits();
  const ModelConfig& config = config_;
  if (traits.output_gram != OutputGram::none) {
    output_grams_ = output_grams(device, weights, heads_of_gram(traits.output_gram, config));
  }
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    if (traits.drift && layer + 1 < config.n_layers) {
      outputs_.emplace_back(device.memory(), weights.element(), 1, config.hidden_size);
    }
    if (window_ == 0) continue;
    queries_.emplace_back(device.memory(), weights.element(), config.n_heads * (window_ + kRowTile),
                          config.head_dim);
    if (traits.attention_queries != 0 && traits.softmax_over == SoftmaxOver::seen) {
      log_normalisers_.emplace_back(device.memory(), weights.element(), window_, config.n_heads);
    }
  }
}

void DecodingCompressor::before_layer(const Chunk&, std::size_t layer, ConstTensorView residual) {
  if (layer == 0 || outputs_.empty()) return;
  copy_rows(device_, residual.row_range(0, 1), outputs_[layer - 1].view());
}

void DecodingCompressor::after_attention(const Chunk&, std::size_t layer,
                                         const LayerActivations& activations, ConstHeadsView,
                                         ConstTensorView) {
  if (steps_to_cut_ > window_) return;
  const std::size_t row = window_ - steps_to_cut_;
  const ConstHeadsView from = activations.queries(config_);
  const HeadsView to = as_heads(queries_[layer].view(), config_.n_heads);
  copy_rows(device_, from.across(0), to.across(row));
  if (log_normalisers_.empty()) return;
  copy_rows(device_, activations.attention.log_normalisers.view().row_range(0, 1),
            log_normalisers_[layer].view().row_range(row, 1));
}

void DecodingCompressor::after_layers(const Chunk&, ConstTensorView residual) {
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

void DecodingCompressor::after_step(ConstTensorView logits, std::size_t entropy_top_k,
                                    GrowingCache& cache) {
  if (policy_.traits().entropy) {
    with_element<double, float>("entropy_of_top_k", logits.element, [&]<class T>() {
      const std::span<const T> row(logits.as<T>().row(0), logits.cols);
      signals_.entropy.push_back(static_cast<float>(entropy_of_top_k(row, entropy_top_k)));
    });
  }
  if (--steps_to_cut_ > 0) return;
  const std::vector<std::size_t> layers = layers_to_cut(cache);
  cuts_.tokens = cache.tokens(layers.front(), 0).back() + 1;
  cuts_.slots_before = mean_slots(cache, layers, config_.n_kv_heads);
  const std::vector<std::size_t> slots = slots_by_head(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto of_layer = std::span(slots).subspan(i * config_.n_kv_heads, config_.n_kv_heads);
    cut(layers[i], {i, layers.size()}, of_layer, cache);
  }
  cuts_.slots_after = mean_slots(cache, layers, config_.n_kv_heads);
  ++cuts_.count;
  steps_to_cut_ = interval_.every;
}

std::vector<std::size_t> DecodingCompressor::slots_by_head(std::size_t n_layers) const {
  const std::size_t n = cuts_.tokens;
  const std::size_t target = slots_after_cut(policy_, interval_, n, cuts_.count);
  const CacheShape shape{n_layers, config_.n_kv_heads};
  if (target >= n) return std::vector<std::size_t>(shape.n_layers * shape.n_kv_heads, n);
  return policy_.budget(shape, n, compression_to(target, n));
}

void DecodingCompressor::cut(std::size_t layer, const LayerPlace& place,
                             std::span<const std::size_t> slots, GrowingCache& cache) const {
  const CachedLayer rows = cache.read(layer);
  const std::size_t together = policy_.traits().joint_heads ? config_.n_kv_heads : 1;
  std::vector<std::vector<std::uint32_t>> kept;
  for (std::size_t head = 0; head < config_.n_kv_heads; head += together) {
    for (auto& of_head : choose(layer, place, {head, head + together},
                                slots.subspan(head, together), rows, cache.tokens(layer, head))) {
      kept.push_back(std::move(of_head));
    }
  }
  cache.keep(layer, kept);
}

std::vector<std::vector<std::uint32_t>> DecodingCompressor::choose(
    std::size_t layer, const LayerPlace& place, const Range& heads,
    std::span<const std::size_t> slots, const CachedLayer& rows,
    const std::vector<std::uint32_t>& tokens) const {
  const std::size_t n = tokens.size();
  const std::size_t most = *std::max_element(slots.begin(), slots.end());
  if (n <= most) {
    std::vector<std::uint32_t> all(n);
    std::iota(all.begin(), all.end(), 0U);
    return std::vector(heads.size(), all);
  }
  const std::span<const Range> by_head = rows.by_head.subspan(heads.begin, heads.size());
  const Matrix<float> keys = rows_of(device_, rows.rows.keys, by_head);
  const Matrix<float> values = rows_of(device_, rows.rows.values, by_head);
  const Matrix<double> received = attention(layer, heads, rows);
  const Matrix<float> last = window_queries(layer, heads);
  LayerView view;
  view.place = place;
  view.score = score_form(config_);
  view.first_kv_head = heads.begin;
  view.n = n;
  view.keys = as_heads(keys.view(), heads.size());
  view.values = as_heads(values.view(), heads.size());
  view.attention = received.view();
  view.window_queries = as_heads(last.view(), heads.size() * config_.group_size());
  if (policy_.traits().output_gram != OutputGram::none) {
    const std::size_t of_kv_head =
        config_.group_size() / heads_of_gram(policy_.traits().output_gram, config_);
    const HeadRows<const float> grams =
        as_heads(output_grams_[layer].view(), config_.n_kv_heads * of_kv_head);
    view.output_gram = grams.part(heads.begin * of_kv_head, heads.size() * of_kv_head, 0);
  }
  view.tokens = tokens;
  view.entropy = signals_.entropy;
  if (policy_.traits().drift) view.drift = signals_.drift[layer];
  view.seed = seed_ + cuts_.count * config_.n_kv_heads + heads.begin + 1;
  const TokenScores scores = protected_scores(policy_, view);
  const SlotBudget budget{compression_to(most, n), {slots.begin(), slots.end()}};
  return std::move(policy_.select(std::span(&scores, 1), budget).front().by_head);
}

Matrix<double> DecodingCompressor::attention(std::size_t layer, const Range& heads,
                                             const CachedLayer& rows) const {
  if (policy_.traits().attention_queries == 0) return {};
  const std::size_t n = rows.by_head[heads.begin].size();
  Matrix<double> received(device_.memory(), heads.size(), n);
  for (std::size_t head = heads.begin; head < heads.end; ++head) {
    const ConstTensorView keys =
        rows.rows.keys.head(0).row_range(rows.by_head[head].begin, n + kRowTile);
    add_attention(layer, head, as_heads(keys, 1), received.view().row_range(head - heads.begin, 1));
  }
  Matrix<double> host(host_memory(), heads.size(), n);
  copy_to_host(device_, received.view(), host.view());
  return host;
}

Matrix<float> DecodingCompressor::window_queries(std::size_t layer, const Range& heads) const {
  const std::size_t count = policy_.traits().window_queries, group = config_.group_size();
  if (count == 0) return {};
  const ConstHeadsView all = as_heads(queries_[layer].view(), config_.n_heads);
  Matrix<float> host(host_memory(), heads.size() * group * count, config_.head_dim);
  for (std::size_t head = 0; head < heads.size() * group; ++head) {
    copy_to_host(device_, all.head(heads.begin * group + head).row_range(window_ - count, count),
                 host.view().row_range(head * count, count));
  }
  return host;
}

void DecodingCompressor::add_attention(std::size_t layer, std::size_t head, ConstHeadsView keys,
                                       MatrixView<double> received) const {
  const PolicyTraits& traits = policy_.traits();
  const std::size_t n = received.cols, window = traits.attention_queries;
  const AttentionShape shape{config_.group_size(), 1, config_.head_dim, 0, score_form(config_)};
  const std::size_t first_head = head * shape.n_heads;
  const std::size_t unused = window_ - window;  // rows before those that count
  const ConstHeadsView queries =
      as_heads(queries_[layer].view(), config_.n_heads).part(first_head, shape.n_heads, unused);
  Matrix<double> outside(device_.memory(), 1, n);
  if (traits.softmax_over == SoftmaxOver::seen) {
    add_attention_received(device_, shape, queries, n - window, window, keys,
                           log_normalisers_[layer]
                               .view()
                               .row_range(unused, window)
                               .column_range(first_head, shape.n_heads),
                           0, outside.view(), received);
    return;
  }
  const std::size_t begin = traits.n_sink, columns = n - begin - traits.n_recent;
  const ConstHeadsView unprotected = as_heads(keys.head(0).row_range(begin, keys.rows - begin), 1);
  Tensor log_normalisers(device_.memory(), keys.element, window, shape.n_heads);
  softmax_normalisers(device_, shape, queries, window, unprotected, columns,
                      log_normalisers.view());
  add_attention_received(device_, shape, queries, columns, window, unprotected,
                         log_normalisers.view(), 0, outside.view().column_range(begin, columns),
                         received.column_range(begin, columns));
}

}  // namespace longshadow
