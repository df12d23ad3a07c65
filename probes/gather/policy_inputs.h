#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "engine/model/full_pass.h"
#include "engine/model/rotary_tables.h"
#include "engine/policy/policy.h"
#include "probes/gather/token_signals.h"

namespace longshadow {

/// Number of query heads that each matrix of output_grams() is a mean over; `wanted` is not none.
std::size_t heads_of_gram(OutputGram wanted, const ModelConfig& config);

/// Gathers, while the full pass runs, what eviction policies look at besides keys and values, and
/// shows it to them layer by layer, in f32 whatever the pass computes in. What grows with the
/// square of the context, attention and its sums, stays where the pass is; policies score on the
/// host, to which a layer brings some numbers a token.
class PolicyInputs final : public LayerObserver {
 public:
  /// Makes room for what policies of these traits ask for of the first `context` tokens of a text
  /// of `text_tokens`.
  PolicyInputs(Device& device, const Weights& weights, std::size_t context, std::size_t text_tokens,
               std::span<const PolicyTraits> traits);

  void before_layer(const Chunk& chunk, std::size_t layer, ConstTensorView residual) override;
  void after_attention(const Chunk& chunk, std::size_t layer, const LayerActivations& activations,
                       ConstHeadsView keys, ConstTensorView residual) override;
  void after_layers(const Chunk& chunk, ConstTensorView residual) override;

  /// Nats, of the distribution that each token predicts, for policies that look at it: of the
  /// context's tokens, and of any behind them.
  void set_entropy(std::span<const float> entropy) {
    entropy_.assign(entropy.begin(), entropy.begin() + static_cast<std::ptrdiff_t>(context_));
  }
  /// The entropy and the drift of the context's tokens, as far as they are asked for; drift after
  /// the pass.
  TokenSignals signals() const;
  /// After the pass, makes `layer` the one that view() shows, and brings it to the host.
  void show(const FullPass& full, std::size_t layer);
  /// All but the measured influence and the seed; valid until the next show().
  LayerView view(const PolicyTraits& traits) const;

 private:
  void add_window(std::size_t window, const Chunk& chunk, std::size_t layer,
                  const LayerActivations& activations, ConstHeadsView keys);
  void add_queries(const Chunk& chunk, std::size_t layer, const LayerActivations& activations);
  void add_last_queries(Matrix<float>& last, const Chunk& chunk,
                        const LayerActivations& activations);

  Device& device_;
  const ModelConfig& config_;
  std::size_t context_;
  std::vector<std::vector<double>> frequencies_;  ///< as layer_frequencies()
  RotaryTables rotary_;  ///< of the context's positions, which keep lengths
  /// On the host, per layer [T, H d], before rotation; empty: not needed.
  std::vector<Matrix<float>> queries_;
  /// On the host, of the last so many queries, per layer [H queries, d].
  std::map<std::size_t, std::vector<Matrix<float>>> last_queries_;
  std::map<OutputGram, std::vector<Matrix<float>>> output_grams_;  ///< as output_grams()
  /// Sums over the last so many queries, per layer [K, T].
  std::map<std::size_t, std::vector<Matrix<double>>> windows_;
  Matrix<double> outside_;        ///< [K, T], for queries outside a window; none are given
  std::vector<Tensor> outputs_;   ///< of one chunk, of every layer but the last
  std::vector<float> all_drift_;  ///< [L, T], zeros for the last layer; empty: not needed

  // On the host, of the layer shown.
  std::size_t shown_ = 0;
  Matrix<float> keys_, values_;                          ///< [K T, d]; none before the first
  std::map<std::size_t, Matrix<double>> shown_windows_;  ///< [K, T] each
  std::vector<float> entropy_, drift_;
};

}  // namespace longshadow
