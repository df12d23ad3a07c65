#include "probes/measure/probe_model.h"

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/transfer.h"
#include "engine/ops/common/rounding.h"
#include "probes/measure/differential_engine.h"
#include "probes/measure/direct_engine.h"

namespace longshadow {
namespace {

template <class T, class P>
DeltaWeights<T, P> delta_weights(std::span<const LayerMatrices<P>> matrices,
                                 const PackedWeights<P>& output, const KvCache<P>& cache) {
  DeltaWeights<T, P> weights{matrices, output, {}};
  for (std::size_t layer = 0; layer < matrices.size(); ++layer) {
    weights.cache.push_back(cache.layer(layer));
  }
  return weights;
}

/// What gradients need, in the precision of their products; on a CUDA device it is what the model
/// holds, read the other way.
template <class T>
void load_gradients(Cpu& cpu, const WeightSource& source, Precision precision,
                    ProbeModel<T>& model) {
  if (precision != Precision::bf16) {
    model.transposed = load_transposed_weights<T>(cpu, source, model.weights);
  } else if constexpr (std::is_same_v<T, float>) {
    model.rounded_transposed = load_transposed_weights<BF16>(cpu, source, model.weights);
  }
}
template <class T>
void load_gradients(Cuda&, const WeightSource&, Precision precision, ProbeModel<T>& model) {
  if (precision != Precision::bf16) {
    model.transposed =
        transpose_weights<T>(model.weights.matrices, model.weights.head.packed_output);
  } else if constexpr (std::is_same_v<T, float>) {
    model.rounded_transposed =
        transpose_weights<BF16>(model.rounded_matrices, *model.rounded_output);
  }
}

}  // namespace

template <class Device>
KvCache<BF16> round_cache(Device& device, const ModelConfig& config, const KvCache<float>& cache,
                          std::size_t n) {
  KvCache<BF16> rounded(device.memory(), config.n_layers, config.n_kv_heads, n, config.head_dim);
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    round_rows(device, cache.layer(layer).keys.all(), rounded.layer(layer).keys.all());
    round_rows(device, cache.layer(layer).values.all(), rounded.layer(layer).values.all());
  }
  return rounded;
}

template <class T, class Device>
ProbeModel<T> load_probe_model(Device& device, const WeightSource& source, Precision precision,
                               bool with_gradients) {
  ProbeModel<T> model{load_weights<T>(device, source), {}, {}};
  if constexpr (std::is_same_v<T, float>) {
    if (precision == Precision::bf16) {
      model.rounded_matrices = load_rounded_matrices(device, source, model.weights);
      const MatrixView<const float> output = model.weights.head.output;
      Matrix<BF16> rounded(device.memory(), output.rows, output.cols);
      round_rows(device, output, rounded.view());
      model.rounded_output = pack(device, std::move(rounded));
    }
  }
  if (with_gradients) load_gradients(device, source, precision, model);
  return model;
}

template <class Device, class T>
PreparedEngine make_engine(Device& device, const ProbeModel<T>& model, const FullPass<T>& full,
                           const ActivationTape<Device, T>* tape, Precision precision,
                           std::size_t horizon, std::size_t max_batch) {
  const Weights<T>& weights = model.weights;
  PreparedEngine prepared;
  if (tape == nullptr) {
    prepared.engine =
        std::make_unique<DirectEngine<Device, T>>(device, weights, full, horizon, max_batch);
  } else if (precision != Precision::bf16) {
    prepared.engine = std::make_unique<DifferentialEngine<Device, T, T>>(
        device, weights,
        delta_weights<T, T>(weights.matrices, weights.head.packed_output, full.cache), full, *tape,
        horizon, max_batch);
  } else if constexpr (std::is_same_v<T, float>) {
    prepared.rounded_cache = std::make_unique<KvCache<BF16>>(
        round_cache(device, weights.config, full.cache, full.tokens.size()));
    prepared.engine = std::make_unique<DifferentialEngine<Device, float, BF16>>(
        device, weights,
        delta_weights<float, BF16>(model.rounded_matrices, *model.rounded_output,
                                   *prepared.rounded_cache),
        full, *tape, horizon, max_batch);
  }
  return prepared;
}

#define LONGSHADOW_INSTANTIATE(Device, T)                                                       \
  template ProbeModel<T> load_probe_model(Device&, const WeightSource&, Precision, bool);       \
  template PreparedEngine make_engine(Device&, const ProbeModel<T>&, const FullPass<T>&,        \
                                      const ActivationTape<Device, T>*, Precision, std::size_t, \
                                      std::size_t);
LONGSHADOW_INSTANTIATE(Cpu, float)
LONGSHADOW_INSTANTIATE(Cpu, double)
LONGSHADOW_INSTANTIATE(Cuda, float)
LONGSHADOW_INSTANTIATE(Cuda, double)
#undef LONGSHADOW_INSTANTIATE
template KvCache<BF16> round_cache(Cpu&, const ModelConfig&, const KvCache<float>&, std::size_t);
template KvCache<BF16> round_cache(Cuda&, const ModelConfig&, const KvCache<float>&, std::size_t);

}  // namespace longshadow
