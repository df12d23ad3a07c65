#include "probes/measure/probe_model.h"

#include "engine/backend/transfer.h"
#include "engine/ops/common/rounding.h"
#include "probes/measure/differential_engine.h"
#include "probes/measure/direct_engine.h"

namespace longshadow {
std::span<const LayerMatrices> ProbeModel::product_matrices() const {
  return rounded_output ? rounded_matrices : weights.matrices;
}

const PackedWeights& ProbeModel::product_output() const {
  return rounded_output ? *rounded_output : weights.head.packed_output;
}

KvCache round_cache(Device& device, const ModelConfig& config, const KvCache& cache,
                    std::size_t n) {
  KvCache rounded(device.memory(), Element::bf16, config.n_layers, config.n_kv_heads, n,
                  config.head_dim);
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    round_rows(device, cache.layer(layer).keys.all(), rounded.keys(layer).all());
    round_rows(device, cache.layer(layer).values.all(), rounded.values(layer).all());
  }
  return rounded;
}

ProbeModel load_probe_model(Device& device, const WeightSource& source, Precision precision,
                            bool with_gradients) {
  ProbeModel model{load_weights(device, source, element_of_pass(precision))};
  if (precision == Precision::bf16) {
    model.rounded_matrices = load_rounded_matrices(device, source, model.weights);
    const ConstTensorView output = model.weights.head.output;
    Tensor rounded(device.memory(), Element::bf16, output.rows, output.cols);
    round_rows(device, output, rounded.view());
    model.rounded_output = pack(device, std::move(rounded));
  }
  if (with_gradients) {
    model.transposed = transpose_weights(device, source, model.weights.head,
                                         model.product_matrices(), model.product_output());
  }
  return model;
}

PreparedEngine make_engine(Device& device, const ProbeModel& model, const FullPass& full,
                           const ActivationTape* tape, std::size_t horizon, std::size_t max_batch) {
  const Weights& weights = model.weights;
  PreparedEngine prepared;
  if (tape == nullptr) {
    prepared.engine = std::make_unique<DirectEngine>(device, weights, full, horizon, max_batch);
    return prepared;
  }
  if (model.rounded_output) {
    prepared.rounded_cache = std::make_unique<KvCache>(
        round_cache(device, weights.config, full.cache, full.tokens.size()));
  }
  const KvCache& cache = prepared.rounded_cache ? *prepared.rounded_cache : full.cache;
  prepared.engine = std::make_unique<DifferentialEngine>(
      device, weights, DeltaWeights{model.product_matrices(), model.product_output(), cache}, full,
      *tape, horizon, max_batch);
  return prepared;
}

}  // namespace longshadow
