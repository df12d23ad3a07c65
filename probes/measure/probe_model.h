#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/kv/kv_cache.h"
#include "engine/model/full_pass.h"
#include "engine/model/weights.h"
#include "probes/cost/memory_plan.h"
#include "probes/measure/activation_tape.h"
#include "probes/measure/counterfactual.h"

namespace longshadow {

/// A model ready for probes in precision T; rounded_* are for bf16 products alone and else empty.
/// The matrices may be of the memory of `weights`.
template <class T>
struct ProbeModel {
  Weights<T> weights;
  std::vector<LayerMatrices<BF16>> rounded_matrices;  ///< [L]
  std::optional<PackedWeights<BF16>> rounded_output;  ///< [V, D]
  /// For gradients, in one of the two precisions or in none; on a CUDA device of the memory of what
  /// is above.
  std::optional<TransposedWeights<T>> transposed{};
  std::optional<TransposedWeights<BF16>> rounded_transposed{};
};

/// With what gradients need where `with_gradients`.
template <class T, class Device>
ProbeModel<T> load_probe_model(Device& device, const WeightSource& source, Precision precision,
                               bool with_gradients = false);

/// The keys and values of n positions rounded to bf16.
template <class Device>
KvCache<BF16> round_cache(Device& device, const ModelConfig& config, const KvCache<float>& cache,
                          std::size_t n);

/// An engine and what it alone keeps alive.
struct PreparedEngine {
  std::unique_ptr<KvCache<BF16>> rounded_cache;  ///< for bf16 products, else empty
  std::unique_ptr<CounterfactualEngine> engine;
};

/// The differential engine on `tape`, or the direct one where tape is null. All arguments must
/// outlive the result.
template <class Device, class T>
PreparedEngine make_engine(Device& device, const ProbeModel<T>& model, const FullPass<T>& full,
                           const ActivationTape<Device, T>* tape, Precision precision,
                           std::size_t horizon, std::size_t max_batch);

}  // namespace longshadow
