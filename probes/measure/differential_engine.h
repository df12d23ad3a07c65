#pragma once

#include <span>

#include "engine/model/full_pass.h"
#include "engine/model/weights.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/common/paired_rows.h"
#include "probes/measure/activation_tape.h"
#include "probes/measure/counterfactual.h"

namespace longshadow {

/// The factors of the products with deltas, in their precision.
struct DeltaWeights {
  std::span<const LayerMatrices> matrices;  ///< [L]
  const PackedWeights& output;              ///< [V, D]
  const KvCache& cache;                     ///< the full pass's
};

/// The differential form: what goes through the layers is delta = evicted - full, by formulas that
/// are exact, not linearised, and never subtract two states. Its error is relative to delta, so
/// bf16 products measure influences that two bf16 passes would bury in noise, and removing nothing
/// gives exactly 0.
class DifferentialEngine final : public CounterfactualEngine {
 public:
  /// References must outlive the engine; the tape must hold every position that a counterfactual
  /// measures. `horizon` and `max_batch` as for DirectEngine.
  DifferentialEngine(Device& device, const Weights& weights, const DeltaWeights& delta_weights,
                     const FullPass& full, const ActivationTape& tape, std::size_t horizon,
                     std::size_t max_batch);

  using CounterfactualEngine::run;
  void run(std::span<const Counterfactual> batch, std::span<double> kl_nats,
           std::span<double> rerouted) override;

 private:
  PassElements elements() const;
  DeltaBatch rows_of(std::span<const Counterfactual> batch) const;

  Device& device_;
  const Weights& weights_;
  DeltaWeights delta_weights_;
  const FullPass& full_;
  const ActivationTape& tape_;
  std::size_t horizon_;
  Tensor residual_;  ///< [padded rows, D], dx
  Tensor normed_;    ///< [padded rows + kRowTile, D]
  AttentionChanges attention_;
  SecondHalfChanges feed_forward_;
};

}  // namespace longshadow
