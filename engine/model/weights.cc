#include "engine/model/weights.h"

#include <utility>

#include "engine/backend/cpu.h"
#include "engine/ops/common/rounding.h"

namespace longshadow {
namespace {

/// get(layer, weight, place, heads) brings one matrix.
template <class Get>
std::vector<LayerMatrices> matrices_of_layers(const ModelConfig& config, const Get& get) {
  std::vector<LayerMatrices> layers;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    layers.push_back(
        LayerMatrices::from(config, layer, [&](LayerWeight weight, auto place, HeadSide heads) {
          return get(layer, weight, place, heads);
        }));
  }
  return layers;
}

std::vector<PackedWeights> transpose_output(Cpu& cpu, const Head& head, Element element) {
  const PackedWeights& packed = head.packed_output;
  std::vector<PackedWeights> tiles;
  with_precisions("transpose_output", packed.element(), element, [&]<class T, class P>() {
    const MatrixView<const T> rows = head.output.as<T>();
    for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
      Matrix<P> turned(cpu.memory(), rows.cols, packed.padded_width(tile));
      for (std::size_t c = 0; c < packed.tile_width(tile); ++c) {
        const T* row = rows.row(packed.tile_begin(tile) + c);
        for (std::size_t i = 0; i < rows.cols; ++i) turned.row(i)[c] = rounded<P>(row[i]);
      }
      tiles.emplace_back(cpu, turned.view());
    }
  });
  return tiles;
}

}  // namespace

std::vector<WeightName> weight_table(const ModelConfig& config) {
  std::vector<WeightName> table;
  Embedding::add_names(config, table);
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    Layer::add_names(config, LayerNames(layer, table));
  }
  Head::add_names(config, table);
  return table;
}

Weights load_weights(Device& device, const WeightSource& source, Element element) {
  const ModelConfig& config = source.config();
  const std::vector<WeightName> table = weight_table(config);
  const WeightLoader load(device, source, table, {element, element});
  std::vector<Layer> layers;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    layers.emplace_back(load, config, layer);
  }
  auto matrices =
      matrices_of_layers(config, [&](std::size_t layer, LayerWeight weight, auto /*place*/,
                                     HeadSide heads) { return load.packed(weight, layer, heads); });
  Embedding embedding{load.plain(WeightKind::token_embedding), config.embedding_scale};
  Head head = Head::load(load, config, std::as_const(embedding.table).view());
  return {config, std::move(embedding), std::move(layers), std::move(matrices), std::move(head)};
}

std::vector<LayerMatrices> load_rounded_matrices(Device& device, const WeightSource& source,
                                                 const Weights& weights) {
  const std::vector<WeightName> table = weight_table(source.config());
  const WeightLoader load(device, source, table, {weights.element(), Element::bf16});
  return matrices_of_layers(
      weights.config, [&](std::size_t layer, LayerWeight weight, auto place, HeadSide heads) {
        const ConstTensorView kept = place(weights.matrices[layer]).bf16_rows();
        return kept.data != nullptr ? PackedWeights(kept) : load.packed(weight, layer, heads);
      });
}

TransposedWeights transpose_weights(Device& device, const WeightSource& source, const Head& head,
                                    std::span<const LayerMatrices> matrices,
                                    const PackedWeights& output) {
  if (device.kind() == DeviceKind::cpu) {
    const std::vector<WeightName> table = weight_table(source.config());
    const WeightLoader load(device, source, table, {head.output.element, output.element()});
    return {
        matrices_of_layers(source.config(),
                           [&](std::size_t layer, LayerWeight weight, auto /*place*/,
                               HeadSide heads) { return load.transposed(weight, layer, heads); }),
        transpose_output(cpu_of(device), head, output.element())};
  }
  TransposedWeights transposed{
      matrices_of_layers(source.config(),
                         [&](std::size_t layer, LayerWeight, auto place, HeadSide) {
                           return place(matrices[layer]).transposed();
                         }),
      {}};
  transposed.output.push_back(output.transposed());
  return transposed;
}

}  // namespace longshadow
