#include "probes/probe_model.h"

#include "engine/ops/rounding.h"
#include "probes/differential_engine.h"
#include "probes/direct_engine.h"

namespace longshadow {
namespace {

template <class T, class P>
DeltaWeights<T, P> delta_weights(std::span<const LayerWeights<T, P>> layers,
                                 const PackedWeights<P>& output, const KvCache<P>& cache) {
  DeltaWeights<T, P> weights{layers, output, {}};
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    weights.cache.push_back(cache.layer(layer));
  }
  return weights;
}

}  // namespace

KvCache<BF16> round_cache(Cpu& cpu, const ModelConfig& config, const KvCache<float>& cache,
                          std::size_t n) {
  KvCache<BF16> rounded(cpu.memory(), config.n_layers, config.n_kv_heads, n, config.head_dim);
  cpu.parallel_for(config.n_layers, [&](std::size_t layer) {
    for (std::size_t head = 0; head < config.n_kv_heads; ++head) {
      round_rows(cache.layer(layer).keys.head(head), rounded.layer(layer).keys.head(head));
      round_rows(cache.layer(layer).values.head(head), rounded.layer(layer).values.head(head));
    }
  });
  return rounded;
}

template <class T>
ProbeModel<T> load_probe_model(Cpu& cpu, const Checkpoint& checkpoint, Precision precision,
                               bool with_gradients) {
  ProbeModel<T> model{load_weights<T>(cpu, checkpoint), {}, {}};
  if (with_gradients && precision != Precision::bf16) {
    model.transposed = load_transposed_weights<T>(cpu, checkpoint, model.weights);
  }
  if constexpr (std::is_same_v<T, float>) {
    if (precision == Precision::bf16) {
      model.rounded_layers = load_layers<float, BF16>(cpu, checkpoint);
      if (with_gradients) {
        model.rounded_transposed = load_transposed_weights<BF16>(cpu, checkpoint, model.weights);
      }
      const MatrixView<const float> output = model.weights.output();
      Matrix<BF16> rounded(cpu.memory(), output.rows, output.cols);
      round_rows(output, rounded.view());
      model.rounded_output.emplace(cpu, std::as_const(rounded).view());
    }
  }
  return model;
}

template <class T>
PreparedEngine make_engine(Cpu& cpu, const ProbeModel<T>& model, const FullPass<T>& full,
                           const ActivationTape<Cpu, T>* tape, Precision precision,
                           std::size_t horizon, std::size_t max_batch) {
  const Weights<T>& weights = model.weights;
  PreparedEngine prepared;
  if (tape == nullptr) {
    prepared.engine =
        std::make_unique<DirectEngine<Cpu, T>>(cpu, weights, full, horizon, max_batch);
  } else if (precision != Precision::bf16) {
    prepared.engine = std::make_unique<DifferentialEngine<Cpu, T, T>>(
        cpu, weights, delta_weights<T, T>(weights.layers, weights.packed_output, full.cache), full,
        *tape, horizon, max_batch);
  } else if constexpr (std::is_same_v<T, float>) {
    prepared.rounded_cache = std::make_unique<KvCache<BF16>>(
        round_cache(cpu, weights.config, full.cache, full.tokens.size()));
    prepared.engine = std::make_unique<DifferentialEngine<Cpu, float, BF16>>(
        cpu, weights,
        delta_weights<float, BF16>(model.rounded_layers, *model.rounded_output,
                                   *prepared.rounded_cache),
        full, *tape, horizon, max_batch);
  }
  return prepared;
}

template ProbeModel<float> load_probe_model(Cpu&, const Checkpoint&, Precision, bool);
template ProbeModel<double> load_probe_model(Cpu&, const Checkpoint&, Precision, bool);
template PreparedEngine make_engine(Cpu&, const ProbeModel<float>&, const FullPass<float>&,
                                    const ActivationTape<Cpu, float>*, Precision, std::size_t,
                                    std::size_t);
template PreparedEngine make_engine(Cpu&, const ProbeModel<double>&, const FullPass<double>&,
                                    const ActivationTape<Cpu, double>*, Precision, std::size_t,
                                    std::size_t);

}  // namespace longshadow
