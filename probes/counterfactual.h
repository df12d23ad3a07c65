#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/core/range.h"
#include "engine/model/full_pass.h"
#include "engine/model/weights.h"

namespace longshadow {

/// What would have been predicted had the tokens `removed` vanished from the KV cache, in every
/// layer and head, before position `start`: sorted, disjoint, all below start. The keys that stay
/// keep their rotary positions, and the positions from start on keep their true ones.
struct Counterfactual {
  std::vector<Range> removed;
  std::size_t start;
};

/// Runs counterfactuals in batches that share the full pass's keys and values: B counterfactuals of
/// horizon H are B H rows of every matrix product. The direct form: the evicted rows themselves go
/// through the layers, and only the last hidden states are subtracted from the full pass's.
template <class Device, class T>
class DirectEngine {
 public:
  /// References must outlive the engine. Counterfactuals measure `horizon` positions from their
  /// start on; at most `max_batch` run at once.
  DirectEngine(Device& device, const Weights<T>& weights, const FullPass<T>& full,
               std::size_t horizon, std::size_t max_batch);

  /// kl_nats [batch.size(), horizon]: KL(full || evicted) at position start + h.
  void run(std::span<const Counterfactual> batch, ColumnOrder order, std::span<double> kl_nats);

 private:
  RowBatch rows_of(std::span<const Counterfactual> batch) const;

  Device& device_;
  const Weights<T>& weights_;
  const FullPass<T>& full_;
  std::size_t horizon_;
  Matrix<T> residual_;  ///< [padded rows, D]
  Matrix<T> hidden_;    ///< [padded rows + kRowTile, D]
  LayerActivations<T> activations_;
  std::vector<double> log_normalisers_;  ///< of the full pass, [n]
  std::vector<std::int32_t> likeliest_;  ///< of the full pass, [n]
};

}  // namespace longshadow
