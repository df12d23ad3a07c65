#include "engine/model/weights.h"

#include <utility>

#include "engine/backend/cuda/cuda.h"
#include "engine/ops/common/rounding.h"

namespace longshadow {
namespace {

/// get(layer, kind, place, heads) brings one matrix.
template <class P, class Get>
std::vector<LayerMatrices<P>> matrices_of_layers(std::size_t n_layers, const Get& get) {
  std::vector<LayerMatrices<P>> layers;
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    layers.push_back(LayerMatrices<P>::from([&](WeightKind kind, auto place, HeadSide heads) {
      return get(layer, kind, place, heads);
    }));
  }
  return layers;
}

template <class P, class T>
std::vector<PackedWeights<P>> transpose_output(Cpu& cpu, const Head<T>& head) {
  const MatrixView<const T> rows = head.output;
  const PackedWeights<T>& packed = head.packed_output;
  std::vector<PackedWeights<P>> tiles;
  for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
    Matrix<P> turned(cpu.memory(), rows.cols, packed.padded_width(tile));
    for (std::size_t c = 0; c < packed.tile_width(tile); ++c) {
      const T* row = rows.row(packed.tile_begin(tile) + c);
      for (std::size_t i = 0; i < rows.cols; ++i) turned.row(i)[c] = rounded<P>(row[i]);
    }
    tiles.emplace_back(cpu, std::as_const(turned).view());
  }
  return tiles;
}

}  // namespace

std::vector<WeightName> weight_table(const ModelConfig& config) {
  std::vector<WeightName> table;
  Embedding<float>::add_names(config, table);
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    Layer<float>::add_names(config, LayerNames(layer, table));
  }
  Head<float>::add_names(config, table);
  return table;
}

template <class T, class Device>
Weights<T> load_weights(Device& device, const WeightSource& source) {
  const ModelConfig& config = source.config();
  const std::vector<WeightName> table = weight_table(config);
  const WeightLoader<Device, T, T> load(device, source, table);
  std::vector<Layer<T>> layers;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    layers.emplace_back(load, config, layer);
  }
  auto matrices = matrices_of_layers<T>(
      config.n_layers, [&](std::size_t layer, WeightKind kind, auto /*place*/, HeadSide heads) {
        return load.packed(kind, layer, heads);
      });
  Embedding<T> embedding{load.plain(WeightKind::token_embedding)};
  Head<T> head = Head<T>::load(load, config, std::as_const(embedding.table).view());
  return {config, std::move(embedding), std::move(layers), std::move(matrices), std::move(head)};
}

template <class Device>
std::vector<LayerMatrices<BF16>> load_rounded_matrices(Device& device, const WeightSource& source,
                                                       const Weights<float>& weights) {
  const std::vector<WeightName> table = weight_table(source.config());
  const WeightLoader<Device, float, BF16> load(device, source, table);
  return matrices_of_layers<BF16>(
      weights.layers.size(), [&](std::size_t layer, WeightKind kind, auto place, HeadSide heads) {
        const MatrixView<const BF16> kept = place(weights.matrices[layer]).bf16_rows();
        return kept.data != nullptr ? PackedWeights<BF16>(kept) : load.packed(kind, layer, heads);
      });
}

template <class P, class T>
TransposedWeights<P> load_transposed_weights(Cpu& cpu, const WeightSource& source,
                                             const Weights<T>& weights) {
  const std::vector<WeightName> table = weight_table(source.config());
  const WeightLoader<Cpu, P, P> load(cpu, source, table);
  return {
      matrices_of_layers<P>(weights.layers.size(),
                            [&](std::size_t layer, WeightKind kind, auto /*place*/,
                                HeadSide heads) { return load.transposed(kind, layer, heads); }),
      transpose_output<P>(cpu, weights.head)};
}

template <class P>
TransposedWeights<P> transpose_weights(std::span<const LayerMatrices<P>> matrices,
                                       const PackedWeights<P>& output) {
  TransposedWeights<P> transposed{
      matrices_of_layers<P>(matrices.size(),
                            [&](std::size_t layer, WeightKind, auto place, HeadSide) {
                              return place(matrices[layer]).transposed();
                            }),
      {}};
  transposed.output.push_back(output.transposed());
  return transposed;
}

#define LONGSHADOW_INSTANTIATE(Device)                                                          \
  template Weights<float> load_weights(Device&, const WeightSource&);                           \
  template Weights<double> load_weights(Device&, const WeightSource&);                          \
  template std::vector<LayerMatrices<BF16>> load_rounded_matrices(Device&, const WeightSource&, \
                                                                  const Weights<float>&);
LONGSHADOW_INSTANTIATE(Cpu)
LONGSHADOW_INSTANTIATE(Cuda)
#undef LONGSHADOW_INSTANTIATE
template TransposedWeights<float> load_transposed_weights(Cpu&, const WeightSource&,
                                                          const Weights<float>&);
template TransposedWeights<BF16> load_transposed_weights(Cpu&, const WeightSource&,
                                                         const Weights<float>&);
template TransposedWeights<double> load_transposed_weights(Cpu&, const WeightSource&,
                                                           const Weights<double>&);
template TransposedWeights<float> transpose_weights(std::span<const LayerMatrices<float>>,
                                                    const PackedWeights<float>&);
template TransposedWeights<BF16> transpose_weights(std::span<const LayerMatrices<BF16>>,
                                                   const PackedWeights<BF16>&);
template TransposedWeights<double> transpose_weights(std::span<const LayerMatrices<double>>,
                                                     const PackedWeights<double>&);

}  // namespace longshadow
