#pragma once

#include <cstddef>
#include <vector>

#include "engine/model/full_pass.h"

namespace longshadow {

/// Queries at the context's end whose attention makes up attention_window.
inline constexpr std::size_t kAttentionWindow = 64;

/// Gathers, while the full pass runs, what every layer says about every token. Definitions are
/// those of data/FORMAT.md.
class SignalObserver final : public LayerObserver {
 public:
  /// n tokens, of which the first `context` are the context.
  SignalObserver(Device& device, const Weights& weights, std::size_t n, std::size_t context);

  void before_layer(const Chunk& chunk, std::size_t layer, ConstTensorView residual) override;
  void after_attention(const Chunk& chunk, std::size_t layer, const LayerActivations& activations,
                       ConstHeadsView keys, ConstTensorView residual) override;
  void after_layers(const Chunk& chunk, ConstTensorView residual) override;

  /// [L, n]: 1 - cos(input of the layer, residual before the final norm).
  const std::vector<float>& drift() const { return drift_; }
  /// [L, K, n]: mean over the context's last kAttentionWindow queries and the KV head's query
  /// heads.
  std::vector<float> attention_window() const;
  /// [L, K, n]: sum over the context's queries / (T - j), the same mean over heads.
  std::vector<float> attention_cumulative() const;

 private:
  /// [L, K, n]: sums [K, T] of each layer, divided by divisor(column).
  template <class Divisor>
  std::vector<float> divided(const std::vector<Matrix<double>>& sums, Divisor&& divisor) const;

  Device& device_;
  const ModelConfig& config_;
  std::size_t n_kv_heads_;
  std::size_t n_layers_;
  std::size_t n_;
  std::size_t context_;
  std::vector<Tensor> inputs_;          ///< of one chunk, per layer
  std::vector<Matrix<double>> all_;     ///< per layer [K, T], sums over the context's queries
  std::vector<Matrix<double>> window_;  ///< per layer [K, T], sums over the window's queries
  std::vector<float> drift_;
};

}  // namespace longshadow
