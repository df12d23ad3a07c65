#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/core/range.h"
#include "engine/ops/attention.h"

namespace longshadow {

/// What would have been predicted had the tokens `removed` vanished from the KV cache, in every
/// layer and head, before position `start`: sorted, disjoint, all below start. The keys that stay
/// keep their rotary positions, and the positions from start on keep their true ones.
struct Counterfactual {
  std::vector<Range> removed;
  std::size_t start;
};

/// Runs counterfactuals in batches that share the full pass's keys and values: B counterfactuals of
/// horizon H are B H rows of every matrix product.
class CounterfactualEngine {
 public:
  virtual ~CounterfactualEngine() = default;

  /// kl_nats [batch.size(), H]: KL(full || evicted) at position start + h.
  virtual void run(std::span<const Counterfactual> batch, std::span<double> kl_nats) = 0;
};

}  // namespace longshadow
