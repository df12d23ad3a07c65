#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/kv/growing_cache.h"
#include "engine/model/full_pass.h"
#include "engine/model/weights.h"

namespace longshadow {

/// Reads one token after the other on a growing cache. Logits come to the host, which draws from
/// them.
template <class Device, class T>
class Decoder {
 public:
  /// For texts of up to `max_tokens` tokens, by which dynamic rotary scaling goes. References must
  /// outlive it.
  Decoder(Device& device, const Weights<T>& weights, std::size_t max_tokens);

  /// The logits [V] behind token number `index` of the text, whose keys and values the cache then
  /// holds; valid until the next step. Observers see a chunk of one row, and no keys.
  std::span<const T> step(std::int32_t token, std::size_t index, GrowingCache<Device, T>& cache,
                          std::span<LayerObserver<T>* const> observers);

  /// The logits behind a row of hidden states after the final norm, hidden [>= kFewRows, D].
  std::span<const T> logits(MatrixView<const T> hidden);

 private:
  Device& device_;
  const Weights<T>& weights_;
  RotaryTable<T> rotary_;
  LayerWalk<Device, T> walk_;
  Matrix<T> hidden_;       ///< [kFewRows, D], of which the first row counts
  Matrix<T> logits_;       ///< [kFewRows, V], likewise
  Matrix<T> host_logits_;  ///< [1, V]
};

}  // namespace longshadow
