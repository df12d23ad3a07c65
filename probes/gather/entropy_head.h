#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "engine/model/full_pass.h"
#include "engine/model/weights.h"
#include "engine/ops/vocabulary/top_k_entropy.h"

namespace longshadow {

/// The entropies that policies score a prompt with, from a full pass that predicted nothing: the
/// output product's cost without its exponentials, and in f32 a third of that on a processor that
/// multiplies bytes (ScreeningOutput).
class EntropyHead {
 public:
  /// `weights` must outlive the head. For screening, a byte more for each element of the output
  /// matrix.
  EntropyHead(Device& device, const Weights& weights);

  /// Nats, of the k likeliest tokens after each of the pass's first n.
  std::vector<float> entropies(Device& device, const FullPass& full, std::size_t n,
                               std::size_t k) const;

 private:
  const Weights& weights_;
  std::optional<ScreeningOutput> screening_;
};

}  // namespace longshadow
