#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/config/rotary_frequencies.h"
#include "engine/model/weights.h"
#include "engine/ops/common/logit_cap.h"
#include "tests/support/twins.h"

namespace longshadow::test {

/// What a layer's attention is made of, by row: the normed input [D], and of its heads, one behind
/// the other, the rotated queries [H d] and keys [K d], and the values [K d].
struct LayerHeads {
  twin::Rows inputs, queries, keys, values;
};

/// A decoder once more, as its formulas read and in double, with a gate on every context column:
/// for the rows from the context's end on, it takes attention's result from what it is (1) straight
/// to what it is without the column (0).
class GatedModel {
 public:
  GatedModel(const Checkpoint& checkpoint, std::vector<TokenId> tokens, std::size_t context)
      : config_(checkpoint.config()),
        tokens_(std::move(tokens)),
        context_(context),
        frequencies_(layer_frequencies(config_, tokens_.size())),
        gates_(config_.n_layers * config_.n_kv_heads, twin::Row(context, 1.0)) {
    for (const WeightName& name : weight_table(config_)) {
      std::vector<float> values(name.rows * name.cols);
      checkpoint.read(name, values);
      twin::Rows& rows = weights_[{{name.kind, name.expert}, name.layer}];
      for (std::size_t r = 0; r < name.rows; ++r) {
        rows.push_back(twin::row(values.data() + r * name.cols, name.cols));
        if (config_.norm_weights_less_1 && is_norm(name.kind)) {
          for (double& element : rows.back()) element += 1;
        }
      }
    }
    if (config_.experts.count != 0) hidden();  // whose routes stay
  }

  double& gate(std::size_t layer, std::size_t kv_head, std::size_t column) {
    return gates_[layer * config_.n_kv_heads + kv_head][column];
  }

  /// The heads of every token, by layer.
  std::vector<LayerHeads> heads() const {
    std::vector<LayerHeads> layers;
    hidden(&layers);
    return layers;
  }

  /// W_O,h [D, d] of a query head.
  twin::Rows output_weights(std::size_t layer, std::size_t head) const {
    twin::Rows rows;
    for (const twin::Row& row : weights(WeightKind::attention_output, layer)) {
      rows.push_back(head_of(row, head));
    }
    return rows;
  }

  /// After the final norm, of every token; `heads` gets those of every layer, where it is not null.
  twin::Rows hidden(std::vector<LayerHeads>* heads = nullptr) const {
    twin::Rows x;
    for (const TokenId token : tokens_) {
      x.push_back(weights(WeightKind::token_embedding, 0)[static_cast<std::size_t>(token)]);
      for (double& element : x.back()) element *= config_.embedding_scale;
    }
    for (std::size_t layer = 0; layer < config_.n_layers; ++layer) {
      const LayerHeads of_layer = project(layer, x);
      attend(layer, of_layer, x);
      if (heads != nullptr) heads->push_back(of_layer);
      feed_forward(layer, x);
    }
    for (twin::Row& row : x) row = norm(WeightKind::final_norm, 0, row);
    return x;
  }

  twin::Row logits(const twin::Row& hidden) const {
    twin::Row row = times(
        config_.tied_embeddings ? WeightKind::token_embedding : WeightKind::output, 0, hidden);
    for (double& logit : row) logit = capped_logit(logit, config_.logit_cap);
    return row;
  }

 private:
  static bool is_norm(WeightKind kind) {
    constexpr WeightKind kNorms[] = {
        WeightKind::attention_norm,    WeightKind::attention_output_norm,
        WeightKind::query_norm,        WeightKind::key_norm,
        WeightKind::feed_forward_norm, WeightKind::feed_forward_output_norm,
        WeightKind::final_norm};
    return std::ranges::find(kNorms, kind) != std::end(kNorms);
  }
  const twin::Rows& weights(LayerWeight weight, std::size_t layer) const {
    return weights_.at({weight, layer});
  }
  /// x itself where the model has no such norm.
  twin::Row norm(WeightKind kind, std::size_t layer, const twin::Row& x) const {
    if (!weights_.contains({kind, layer})) return x;
    return twin::rms_norm(x, weights(kind, layer)[0], config_.norm_epsilon);
  }
  twin::Row times(LayerWeight weight, std::size_t layer, const twin::Row& x) const {
    twin::Row y;
    for (const twin::Row& row : weights(weight, layer)) y.push_back(twin::dot(row, x));
    return y;
  }
  static void add(const twin::Row& from, twin::Row& to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }

  /// times() and a bias, where the model has one.
  twin::Row project(LayerWeight weight, WeightKind bias, std::size_t layer,
                    const twin::Row& x) const {
    twin::Row y = times(weight, layer, x);
    if (const auto found = weights_.find({bias, layer}); found != weights_.end()) {
      add(found->second[0], y);
    }
    return y;
  }
  /// Normalises each head in the row, or all together, where the model has such norms.
  void normalise_heads(WeightKind kind, std::size_t layer, twin::Row& row) const {
    if (!weights_.contains({kind, layer})) return;
    const std::size_t width = weights(kind, layer)[0].size();
    for (std::size_t first = 0; first < row.size(); first += width) {
      const twin::Row normed = norm(kind, layer, twin::row(row.data() + first, width));
      std::copy(normed.begin(), normed.end(), row.begin() + static_cast<std::ptrdiff_t>(first));
    }
  }
  twin::Row rotate(const twin::Row& head, std::size_t layer, std::size_t position) const {
    if (!config_.rotary_layers.empty() && !config_.rotary_layers[layer]) return head;
    const std::vector<double>& frequencies = frequencies_[layer];
    twin::Row rotated = twin::rotate(head, frequencies, position);
    for (std::size_t i = 0; i < rotated.size(); ++i) {
      if (frequencies[i % frequencies.size()] != 0)
        rotated[i] *= config_.rope_of(layer).attention_factor;
    }
    return rotated;
  }
  twin::Row head_of(const twin::Row& row, std::size_t head) const {
    return twin::row(row.data() + head * config_.head_dim, config_.head_dim);
  }

  /// Of all heads of a row, one behind the other.
  twin::Row rotate_heads(const twin::Row& heads, std::size_t layer, std::size_t position) const {
    twin::Row rotated;
    for (std::size_t head = 0; head < heads.size() / config_.head_dim; ++head) {
      const twin::Row one = rotate(head_of(heads, head), layer, position);
      rotated.insert(rotated.end(), one.begin(), one.end());
    }
    return rotated;
  }

  LayerHeads project(std::size_t layer, const twin::Rows& x) const {
    LayerHeads heads;
    for (std::size_t r = 0; r < x.size(); ++r) {
      const twin::Row in = norm(WeightKind::attention_norm, layer, x[r]);
      const auto of = [&](WeightKind kind, WeightKind bias) {
        return project(kind, bias, layer, in);
      };
      twin::Row query = of(WeightKind::query, WeightKind::query_bias);
      twin::Row key = of(WeightKind::key, WeightKind::key_bias);
      normalise_heads(WeightKind::query_norm, layer, query);
      normalise_heads(WeightKind::key_norm, layer, key);
      heads.queries.push_back(rotate_heads(query, layer, r));
      heads.keys.push_back(rotate_heads(key, layer, r));
      heads.values.push_back(of(WeightKind::value, WeightKind::value_bias));
      heads.inputs.push_back(in);
    }
    return heads;
  }

  void attend(std::size_t layer, const LayerHeads& heads, twin::Rows& x) const {
    for (std::size_t r = 0; r < x.size(); ++r) {
      twin::Row attended;
      for (std::size_t head = 0; head < config_.n_heads; ++head) {
        const std::size_t kv = head / config_.group_size();
        twin::Rows keys, values;
        const std::size_t window = config_.window(layer);
        const std::size_t first = window == 0 || r < window ? 0 : r + 1 - window;
        for (std::size_t j = first; j <= r; ++j) {
          keys.push_back(head_of(heads.keys[j], kv));
          values.push_back(head_of(heads.values[j], kv));
        }
        twin::Attention result =
            twin::attend(head_of(heads.queries[r], head), keys, values,
                         {config_.attention_scale, config_.attention_score_cap});
        if (r >= context_) pass_gates(layer * config_.n_kv_heads + kv, first, values, result);
        attended.insert(attended.end(), result.out.begin(), result.out.end());
      }
      const twin::Row output =
          project(WeightKind::attention_output, WeightKind::output_bias, layer, attended);
      add(norm(WeightKind::attention_output_norm, layer, output), x[r]);
    }
  }

  /// `values` and the result's weights are those of the columns from `first` on.
  void pass_gates(std::size_t row, std::size_t first, const twin::Rows& values,
                  twin::Attention& result) const {
    const twin::Row full = result.out;
    for (std::size_t j = first; j < context_; ++j) {
      const double p = result.weights[j - first];
      for (std::size_t i = 0; i < full.size(); ++i) {
        const double without = (full[i] - p * values[j - first][i]) / (1 - p);
        result.out[i] += (gates_[row][j] - 1) * (full[i] - without);
      }
    }
  }

  /// W_down (act(W_gate in) W_up in) with biases, of the layer or of one of its experts.
  twin::Row feed(std::size_t layer, std::size_t expert, const twin::Row& in) const {
    const auto by = [&](WeightKind kind, WeightKind bias, const twin::Row& x) {
      return project({kind, expert}, bias, layer, x);
    };
    const twin::Row gate = by(WeightKind::gate, WeightKind::gate_bias, in);
    twin::Row gated = by(WeightKind::up, WeightKind::up_bias, in);
    for (std::size_t i = 0; i < gate.size(); ++i)
      gated[i] *= twin::activation(config_.activation, gate[i]);
    return by(WeightKind::down, WeightKind::down_bias, gated);
  }

  /// Experts by falling logit.
  static std::vector<std::size_t> ordered(const twin::Row& logits) {
    std::vector<std::size_t> order(logits.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    return order;
  }

  /// The sum over the experts of the largest logits, weighed by a softmax over these or over all.
  /// Each row goes to the experts that it went to when it was first asked, whatever the gates.
  twin::Row mix(std::size_t layer, std::size_t row, const twin::Row& in) const {
    const twin::Row logits = times(WeightKind::router, layer, in);
    const auto held = routes_.emplace(std::pair(layer, row), ordered(logits)).first;
    const std::vector<std::size_t>& order = held->second;
    const std::size_t chosen = config_.experts.chosen;
    double total = 0;
    for (std::size_t i = 0; i < (config_.experts.renormalised ? chosen : order.size()); ++i) {
      total += std::exp(logits[order[i]]);
    }
    twin::Row output(in.size());
    for (std::size_t i = 0; i < chosen; ++i) {
      twin::Row part = feed(layer, order[i], in);
      for (double& element : part) element *= std::exp(logits[order[i]]) / total;
      add(part, output);
    }
    return output;
  }

  void feed_forward(std::size_t layer, twin::Rows& x) const {
    for (std::size_t r = 0; r < x.size(); ++r) {
      const twin::Row in = norm(WeightKind::feed_forward_norm, layer, x[r]);
      const twin::Row output = config_.has_experts(layer) ? mix(layer, r, in) : feed(layer, 0, in);
      add(norm(WeightKind::feed_forward_output_norm, layer, output), x[r]);
    }
  }

  const ModelConfig& config_;
  std::vector<TokenId> tokens_;
  std::size_t context_;
  std::vector<twin::Row> frequencies_;  ///< [L]
  twin::Rows gates_;                    ///< [L K, T]
  std::map<std::pair<LayerWeight, std::size_t>, twin::Rows> weights_;
  /// By layer and row, experts by falling logit.
  mutable std::map<std::pair<std::size_t, std::size_t>, std::vector<std::size_t>> routes_;
};

}  // namespace longshadow::test
