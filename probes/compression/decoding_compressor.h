#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/core/range.h"
#include "engine/kv/growing_cache.h"
#include "engine/model/full_pass.h"
#include "engine/policy/policy.h"
#include "probes/gather/token_signals.h"

namespace longshadow {

/// Written tokens from cut to cut unless asked otherwise: InfoKV's paper's and RPC's (arXiv
/// 2606.26875, 2505.13866).
inline constexpr std::size_t kCutEvery = 1024;

/// While text is written, after every `every` tokens, KV heads of more slots than the target are
/// cut back to it, or to what the policy's budget makes of it for each. The target is a count, a
/// share of the text's tokens so far, or what the policy's own rule says
/// (Policy::kept_while_writing) where neither is given.
struct DecodingInterval {
  std::size_t every;
  std::optional<std::size_t> target{};   ///< slots of a KV head
  std::optional<double> target_share{};  ///< of the tokens so far, prompt and text, evicted too
};

/// Number of tokens that are written before the first cut: `every`, and where the prompt stays the
/// policy's window besides, so that `every` tokens can leave.
std::size_t steps_to_first_cut(const PolicyTraits& traits, const DecodingInterval& interval);

/// The slots of a KV head that cut number `cut` (0, 1, ...) leaves where the text has n tokens so
/// far: the target, floor(target_share n) or, by the policy's own rule, its protected slots and
/// those the rule says. A share within rounding of a whole number of tokens is that number.
std::size_t slots_after_cut(const Policy& policy, const DecodingInterval& interval, std::size_t n,
                            std::size_t cut);

/// Throws UsageError where the policy looks at more than the tokens since the last cut can tell,
/// protects as many slots as the first cut leaves, or, a count apart, that cut leaves all there
/// are; and where the interval has no target and the policy no rule, or two, or a share that is
/// none; and as Policy::budget() does for the first cut.
void check_decoding(const Policy& policy, const DecodingInterval& interval, const CacheShape& shape,
                    std::size_t prompt_tokens);

/// Number of cuts that a cache had, and of the last cut: the text's tokens by then, and the slots
/// of a KV head before and behind it, a mean over heads and layers.
struct CacheCuts {
  std::size_t count = 0;
  std::size_t tokens = 0;
  double slots_before = 0, slots_after = 0;
};

/// Cuts a growing cache by an eviction policy. What the policy looks at comes from the decoding
/// steps themselves, which it observes; tokens of the prompt and of the text are scored alike.
/// Heads come to hold different tokens, so each is scored and cut by itself, but for policies of
/// joint_heads. The slots that a policy protects stay at every cut. Layers with a window are left
/// alone, and counts are those of the others.
class DecodingCompressor final : public LayerObserver {
 public:
  /// `prompt`: as far as the policy looks at them, of the prefilled tokens. References must outlive
  /// the compressor. For what check_decoding() lets pass.
  DecodingCompressor(Device& device, const Weights& weights, const Policy& policy,
                     const DecodingInterval& interval, TokenSignals prompt, std::uint64_t seed);

  void before_layer(const Chunk& chunk, std::size_t layer, ConstTensorView residual) override;
  void after_attention(const Chunk& chunk, std::size_t layer, const LayerActivations& activations,
                       ConstHeadsView keys, ConstTensorView residual) override;
  void after_layers(const Chunk& chunk, ConstTensorView residual) override;

  /// After each step; logits [1, V], on the host, are the step's, entropy that of the k likeliest
  /// tokens. Cuts the cache where it is time to.
  void after_step(ConstTensorView logits, std::size_t entropy_top_k, GrowingCache& cache);

  /// So far.
  const CacheCuts& cuts() const { return cuts_; }

 private:
  /// [n_layers, K] that each KV head is to keep at the cut that is due.
  std::vector<std::size_t> slots_by_head(std::size_t n_layers) const;
  /// `slots` [K] are what the layer's heads are to keep; `place` is the layer's among those cut.
  void cut(std::size_t layer, const LayerPlace& place, std::span<const std::size_t> slots,
           GrowingCache& cache) const;
  /// Chooses what stays of some of a layer's KV heads, which hold the same tokens; `slots` are
  /// theirs.
  std::vector<std::vector<std::uint32_t>> choose(std::size_t layer, const LayerPlace& place,
                                                 const Range& heads,
                                                 std::span<const std::size_t> slots,
                                                 const CachedLayer& rows,
                                                 const std::vector<std::uint32_t>& tokens) const;
  /// On the host, [heads, n] as LayerView::attention, from the last queries.
  Matrix<double> attention(std::size_t layer, const Range& heads, const CachedLayer& rows) const;
  /// On the host, of the query heads of some KV heads: [query heads window_queries, d].
  Matrix<float> window_queries(std::size_t layer, const Range& heads) const;
  /// Adds that of one KV head, whose rows begin with keys' first, to received [1, n].
  void add_attention(std::size_t layer, std::size_t head, ConstHeadsView keys,
                     MatrixView<double> received) const;

  Device& device_;
  const ModelConfig& config_;
  const Policy& policy_;
  DecodingInterval interval_;
  TokenSignals signals_;
  std::uint64_t seed_;
  std::size_t steps_to_cut_;
  CacheCuts cuts_;
  std::vector<Tensor> outputs_;  ///< [1, D] each, of the step: all layers but the last
  std::size_t window_;           ///< how many of the last queries the policy looks at
  std::vector<Tensor> queries_;  ///< per layer [H (window + kRowTile), d], the last ones
  std::vector<Matrix<float>> output_grams_;  ///< as output_grams(); empty: not needed
  /// Per layer [window, H], of the softmax over all tokens that the queries saw.
  std::vector<Tensor> log_normalisers_;
};

}  // namespace longshadow
