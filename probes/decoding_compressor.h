#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv/growing_cache.h"
#include "engine/model/full_pass.h"
#include "engine/policy/policy.h"

namespace longshadow {

/// While text is written, after every `every` tokens, KV heads of more than `target` slots are cut
/// back to the target: a head's length swings between target and target + every - 1.
struct DecodingInterval {
  std::size_t every;
  std::size_t target;
};

/// Throws UsageError where the policy looks at more than the tokens since the last cut can tell, or
/// protects as many as the target.
void check_decoding(const PolicyTraits& traits, const DecodingInterval& interval);

/// Entropy and drift of every token of a text so far.
struct TokenSignals {
  std::vector<float> entropy;             ///< [n] nats, of the distribution that the token predicts
  std::vector<std::vector<float>> drift;  ///< [L][n] 1 - cos(layer's output, last layer's)
};

/// Cuts a growing cache by an eviction policy. What the policy looks at comes from the decoding
/// steps themselves, which it observes. Heads hold different tokens by then, so each is scored and
/// cut by itself.
template <class Device, class T>
class DecodingCompressor final : public FullPassObserver<T> {
 public:
  /// `prompt`: as far as the policy looks at them, of the prefilled tokens. References must outlive
  /// the compressor. Throws as check_decoding() does.
  DecodingCompressor(Device& device, const ModelConfig& config, const Policy& policy,
                     const DecodingInterval& interval, TokenSignals prompt, std::uint64_t seed);

  void before_layer(const Chunk& chunk, std::size_t layer, MatrixView<const T> residual) override;
  void after_attention(const Chunk& chunk, std::size_t layer,
                       const LayerActivations<T>& activations, HeadRows<const T> keys,
                       MatrixView<const T> residual) override;
  void after_layers(const Chunk& chunk, MatrixView<const T> residual) override;

  /// After each step; logits [V] are the step's, entropy that of the k likeliest tokens. Cuts the
  /// cache where it is time to.
  void after_step(std::span<const T> logits, std::size_t entropy_top_k,
                  GrowingCache<Device, T>& cache);

 private:
  /// What stays of a head whose rows `rows` of `layer` are.
  std::vector<std::uint32_t> choose(std::size_t layer, std::size_t head, const CachedLayer<T>& rows,
                                    const std::vector<std::uint32_t>& tokens) const;
  /// On the host, [1, n] as LayerView::attention, from the last queries.
  Matrix<double> attention(std::size_t layer, std::size_t head, HeadRows<const T> keys,
                           std::size_t n) const;

  Device& device_;
  const ModelConfig& config_;
  const Policy& policy_;
  DecodingInterval interval_;
  TokenSignals signals_;
  std::uint64_t seed_;
  std::size_t since_cut_ = 0;  ///< steps
  std::size_t cuts_ = 0;
  std::vector<Matrix<T>> outputs_;          ///< [1, D] each, of the step: all layers but the last
  std::vector<Matrix<T>> queries_;          ///< per layer [H (window + kRowTile), d], the last ones
  std::vector<Matrix<T>> log_normalisers_;  ///< per layer [window, H]
};

}  // namespace longshadow
