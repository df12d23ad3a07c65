#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/kv/growing_cache.h"
#include "engine/model/full_pass.h"
#include "engine/model/weights.h"

namespace longshadow {

/// Reads one token after the other on a growing cache. Logits come to the host, which draws from
/// them.
class Decoder {
 public:
  /// For texts of up to `max_tokens` tokens, by which dynamic rotary scaling and longrope go.
  /// References must outlive it.
  Decoder(Device& device, const Weights& weights, std::size_t max_tokens);

  /// The logits [1, V], on the host, behind token number `index` of the text, whose keys and values
  /// the cache then holds; valid until the next step. Observers see a chunk of one row, and no
  /// keys.
  ConstTensorView step(std::int32_t token, std::size_t index, GrowingCache& cache,
                       std::span<LayerObserver* const> observers);

  /// The logits behind a row of hidden states after the final norm, hidden [>= kFewRows, D].
  ConstTensorView logits(ConstTensorView hidden);

 private:
  Device& device_;
  const Weights& weights_;
  RotaryTables rotary_;
  LayerWalk walk_;
  Tensor hidden_;       ///< [kFewRows, D], of which the first row counts
  Tensor logits_;       ///< [kFewRows, V], likewise
  Tensor host_logits_;  ///< [1, V]
};

}  // namespace longshadow
