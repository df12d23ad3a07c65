#include "probes/gather/policy_inputs.h"

#include <algorithm>
#include <numeric>

#include "engine/backend/device.h"
#include "engine/backend/transfer.h"
#include "engine/config/rotary_frequencies.h"
#include "engine/model/output_gram.h"
#include "engine/ops/attention_statistics/attention_received.h"
#include "engine/ops/common/rows.h"

namespace longshadow {
namespace {

/// The first rows of every head, as many as `to` has, to the host as f32.
void copy_context(Device& device, ConstHeadsView from, HeadRows<float> to) {
  for (std::size_t head = 0; head < from.n_heads; ++head) {
    copy_to_host(device, from.head(head).row_range(0, to.rows), to.head(head));
  }
}

}  // namespace

std::size_t heads_of_gram(OutputGram wanted, const ModelConfig& config) {
  return wanted == OutputGram::of_query_heads ? 1 : config.group_size();
}

PolicyInputs::PolicyInputs(Device& device, const Weights& weights, std::size_t context,
                           std::size_t text_tokens, std::span<const PolicyTraits> traits)
    : device_(device),
      config_(weights.config),
      context_(context),
      frequencies_(layer_frequencies(config_, text_tokens)),
      rotary_(device, weights.element(), frequencies_, context),
      outside_(device.memory(), config_.n_kv_heads, context) {
  const ModelConfig& config = config_;
  bool any_queries = false, any_drift = false;
  for (const PolicyTraits& one : traits) {
    if (one.attention_queries != 0) {
      windows_.try_emplace(one.attention_queries);
      shown_windows_.try_emplace(one.attention_queries, host_memory(), config.n_kv_heads, context);
    }
    if (one.window_queries != 0) last_queries_.try_emplace(std::min(one.window_queries, context));
    any_queries |= one.queries;
    any_drift |= one.drift;
    const OutputGram gram = one.output_gram;
    if (gram != OutputGram::none && output_grams_.find(gram) == output_grams_.end()) {
      output_grams_[gram] = output_grams(device, weights, heads_of_gram(gram, config));
    }
  }
  const std::size_t chunk_rows = std::min(kPrefillChunk, round_up(context, kRowTile));
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    for (auto& window : windows_) {
      window.second.emplace_back(device.memory(), config.n_kv_heads, context);
    }
    for (auto& [count, layers] : last_queries_) {
      layers.emplace_back(host_memory(), config.n_heads * count, config.head_dim);
    }
    if (any_queries) {
      queries_.emplace_back(host_memory(), context, config.n_heads * config.head_dim);
    }
    if (any_drift && layer + 1 < config.n_layers) {
      outputs_.emplace_back(device.memory(), weights.element(), chunk_rows, config.hidden_size);
    }
  }
  if (any_drift) all_drift_.resize(config.n_layers * context);
}

void PolicyInputs::before_layer(const Chunk& chunk, std::size_t layer, ConstTensorView residual) {
  if (layer == 0 || outputs_.empty() || chunk.first_position >= context_) return;
  Tensor& output = outputs_[layer - 1];
  const std::size_t rows = std::min(residual.rows, output.rows());
  copy_rows(device_, residual.row_range(0, rows), output.view().row_range(0, rows));
}

void PolicyInputs::after_attention(const Chunk& chunk, std::size_t layer,
                                   const LayerActivations& activations, ConstHeadsView keys,
                                   ConstTensorView) {
  if (chunk.first_position >= context_) return;
  for (const auto& window : windows_) add_window(window.first, chunk, layer, activations, keys);
  if (!queries_.empty()) add_queries(chunk, layer, activations);
  for (auto& last : last_queries_) add_last_queries(last.second[layer], chunk, activations);
}

void PolicyInputs::after_layers(const Chunk& chunk, ConstTensorView residual) {
  if (chunk.first_position >= context_) return;
  const std::size_t rows = std::min(chunk.used_rows, context_ - chunk.first_position);
  for (std::size_t layer = 0; layer < outputs_.size(); ++layer) {
    cosine_distances(device_, ConstTensorView(outputs_[layer].view()), residual,
                     std::span(all_drift_).subspan(layer * context_ + chunk.first_position, rows));
  }
}

void PolicyInputs::add_window(std::size_t window, const Chunk& chunk, std::size_t layer,
                              const LayerActivations& activations, ConstHeadsView keys) {
  const std::size_t begin =
      std::max(chunk.first_position, context_ > window ? context_ - window : 0);
  const std::size_t end = std::min(chunk.first_position + chunk.used_rows, context_);
  if (begin >= end) return;
  const std::size_t row = begin - chunk.first_position;
  add_attention_received(device_, attention_shape(config_, layer),
                         activations.queries(config_).part(0, config_.n_heads, row), begin,
                         end - begin, keys,
                         activations.attention.log_normalisers.view().row_range(row, end - begin),
                         0, outside_.view(), windows_[window][layer].view());
}

void PolicyInputs::add_queries(const Chunk& chunk, std::size_t layer,
                               const LayerActivations& activations) {
  const std::size_t rows = std::min(chunk.used_rows, context_ - chunk.first_position);
  const std::size_t d = config_.head_dim;
  const ConstHeadsView heads = activations.queries(config_);
  Tensor rotated(device_.memory(), heads.element, rows, heads.n_heads * d);
  for (std::size_t head = 0; head < heads.n_heads; ++head) {
    copy_rows(device_, heads.head(head).row_range(0, rows),
              rotated.view().column_range(head * d, d));
  }
  std::vector<std::uint32_t> positions(rows);
  std::iota(positions.begin(), positions.end(), static_cast<std::uint32_t>(chunk.first_position));
  Tensor plain(device_.memory(), heads.element, rows, rotated.cols());
  rotate_rows(device_, rotary_.of(layer), Turn::back, positions, rotated.view(), plain.view());
  copy_to_host(device_, plain.view(), queries_[layer].view().row_range(chunk.first_position, rows));
}

void PolicyInputs::add_last_queries(Matrix<float>& last, const Chunk& chunk,
                                    const LayerActivations& activations) {
  const HeadRows<float> to = as_heads(last.view(), config_.n_heads);
  const std::size_t first = context_ - to.rows;
  const std::size_t begin = std::max(chunk.first_position, first);
  const std::size_t end = std::min(chunk.first_position + chunk.used_rows, context_);
  if (begin >= end) return;
  const ConstHeadsView from = activations.queries(config_);
  for (std::size_t head = 0; head < config_.n_heads; ++head) {
    copy_to_host(device_, from.head(head).row_range(begin - chunk.first_position, end - begin),
                 to.head(head).row_range(begin - first, end - begin));
  }
}

TokenSignals PolicyInputs::signals() const {
  TokenSignals signals{entropy_, std::vector<std::vector<float>>(config_.n_layers)};
  if (all_drift_.empty()) return signals;
  auto of_layer = all_drift_.begin();
  for (std::vector<float>& drift : signals.drift) {
    const auto end = of_layer + static_cast<std::ptrdiff_t>(context_);
    drift.assign(of_layer, end);
    of_layer = end;
  }
  return signals;
}

void PolicyInputs::show(const FullPass& full, std::size_t layer) {
  shown_ = layer;
  if (keys_.rows() == 0) {
    keys_ = Matrix<float>(host_memory(), config_.n_kv_heads * context_, config_.head_dim);
    values_ = Matrix<float>(host_memory(), config_.n_kv_heads * context_, config_.head_dim);
  }
  const KeysValuesView cache = full.cache.layer(layer);
  copy_context(device_, cache.keys, as_heads(keys_.view(), config_.n_kv_heads));
  copy_context(device_, cache.values, as_heads(values_.view(), config_.n_kv_heads));
  for (auto& [window, host] : shown_windows_) {
    copy_to_host(device_, std::as_const(windows_[window][layer]).view(), host.view());
  }
  if (all_drift_.empty()) return;
  const auto of_layer = all_drift_.begin() + static_cast<std::ptrdiff_t>(layer * context_);
  drift_.assign(of_layer, of_layer + static_cast<std::ptrdiff_t>(context_));
}

LayerView PolicyInputs::view(const PolicyTraits& traits) const {
  LayerView view;
  view.place = {shown_, config_.n_layers};
  view.n = context_;
  view.score = score_form(config_);
  view.keys = as_heads(keys_.view(), config_.n_kv_heads);
  view.values = as_heads(values_.view(), config_.n_kv_heads);
  if (traits.queries) view.queries = queries_[shown_].view();
  view.frequencies = frequencies_[shown_];
  if (traits.attention_queries != 0) {
    view.attention = shown_windows_.at(traits.attention_queries).view();
  }
  if (traits.window_queries != 0) {
    const Matrix<float>& last = last_queries_.at(std::min(traits.window_queries, context_))[shown_];
    view.window_queries = as_heads(last.view(), config_.n_heads);
  }
  if (traits.output_gram != OutputGram::none) {
    const Matrix<float>& grams = output_grams_.at(traits.output_gram)[shown_];
    view.output_gram =
        as_heads(grams.view(), config_.n_heads / heads_of_gram(traits.output_gram, config_));
  }
  view.entropy = entropy_;
  view.drift = drift_;
  return view;
}

}  // namespace longshadow
