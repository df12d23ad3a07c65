#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/full_pass.h"
#include "engine/model/weights.h"
#include "probes/measure/counterfactual.h"

namespace longshadow {

/// The direct form: the evicted rows themselves go through the layers, and only the last hidden
/// states are subtracted from the full pass's.
class DirectEngine final : public CounterfactualEngine {
 public:
  /// References must outlive the engine. Counterfactuals measure `horizon` positions from their
  /// start on; at most `max_batch` run at once. Attention sums in the given order.
  DirectEngine(Device& device, const Weights& weights, const FullPass& full, std::size_t horizon,
               std::size_t max_batch, ColumnOrder order = ColumnOrder::forward);

  using CounterfactualEngine::run;
  void run(std::span<const Counterfactual> batch, std::span<double> kl_nats,
           std::span<double> rerouted) override;

 private:
  RowBatch rows_of(std::span<const Counterfactual> batch) const;

  Device& device_;
  const Weights& weights_;
  const FullPass& full_;
  std::size_t horizon_;
  ColumnOrder order_;
  LayerWalk walk_;
  Tensor hidden_;  ///< [padded rows + kRowTile, D]
};

}  // namespace longshadow
