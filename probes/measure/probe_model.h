#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/backend/device.h"
#include "engine/kv/kv_cache.h"
#include "engine/model/full_pass.h"
#include "engine/model/weights.h"
#include "probes/cost/memory_plan.h"
#include "probes/measure/activation_tape.h"
#include "probes/measure/counterfactual.h"

namespace longshadow {

/// A model ready for probes. The matrices may be of the memory of `weights`.
struct ProbeModel {
  Weights weights;
  /// For bf16 products alone, and else empty: [L], [V, D].
  std::vector<LayerMatrices> rounded_matrices{};
  std::optional<PackedWeights> rounded_output{};
  /// For gradients, in the precision of products, or none; on a CUDA device of the memory of what
  /// is above.
  std::optional<TransposedWeights> transposed{};

  /// The matrices that products with changes take: [L], [V, D].
  std::span<const LayerMatrices> product_matrices() const;
  const PackedWeights& product_output() const;
};

/// With what gradients need where `with_gradients`.
ProbeModel load_probe_model(Device& device, const WeightSource& source, Precision precision,
                            bool with_gradients = false);

/// The keys and values of n positions rounded to bf16.
KvCache round_cache(Device& device, const ModelConfig& config, const KvCache& cache, std::size_t n);

/// An engine and what it alone keeps alive.
struct PreparedEngine {
  std::unique_ptr<KvCache> rounded_cache;  ///< for bf16 products, else empty
  std::unique_ptr<CounterfactualEngine> engine;
};

/// The differential engine on `tape`, or the direct one where tape is null. All arguments must
/// outlive the result.
PreparedEngine make_engine(Device& device, const ProbeModel& model, const FullPass& full,
                           const ActivationTape* tape, std::size_t horizon, std::size_t max_batch);

}  // namespace longshadow
