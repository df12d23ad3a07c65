#include "engine/model/weights.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "engine/backend/transfer.h"
#include "engine/ops/rounding.h"

namespace longshadow {
namespace {

/// Finds tensors in the weight table and brings them into the form a device wants.
template <class Device, class T, class P>
class WeightLoader {
 public:
  WeightLoader(Device& device, const Checkpoint& checkpoint)
      : device_(device), checkpoint_(checkpoint) {
    for (WeightName& name : weight_table(checkpoint.config())) {
      const auto key = std::pair(name.kind, name.layer);
      names_.emplace(key, std::move(name));
    }
  }

  Matrix<T> plain(WeightKind kind, std::size_t layer = 0) const {
    const auto found = names_.find({kind, layer});
    return found == names_.end() ? Matrix<T>() : on_device(device_, read<T>(found->second));
  }

  PackedWeights<P> packed(WeightKind kind, std::size_t layer,
                          std::size_t multiple = kOutputMultiple) const {
    const WeightName& name = names_.at({kind, layer});
    if constexpr (std::is_same_v<Device, Cuda> && std::is_same_v<P, float>) {
      if (checkpoint_.config().bf16_layers) {
        return PackedWeights<float>::kept_in_bf16(on_device(device_, read<BF16>(name)));
      }
    }
    return pack(device_, on_device(device_, read<P>(name)), multiple);
  }

  PackedWeights<P> transposed(WeightKind kind, std::size_t layer,
                              std::size_t multiple = kOutputMultiple) const {
    const Matrix<P> plain = read<P>(names_.at({kind, layer}));
    Matrix<P> turned(Cpu::memory(), plain.cols(), plain.rows());
    for (std::size_t r = 0; r < plain.rows(); ++r) {
      for (std::size_t c = 0; c < plain.cols(); ++c) turned.row(c)[r] = plain.row(r)[c];
    }
    return pack(device_, on_device(device_, std::move(turned)), multiple);
  }

  /// For tiles of outputs that divide no head.
  std::size_t whole_heads() const {
    return std::lcm(checkpoint_.config().head_dim, kOutputMultiple);
  }

 private:
  template <class Element>
  Matrix<Element> read(const WeightName& name) const {
    Matrix<Element> matrix(Cpu::memory(), name.rows, name.cols);
    const std::size_t size = name.rows * name.cols;
    if constexpr (std::is_same_v<Element, float>) {
      checkpoint_.read(name, {matrix.data(), size});
    } else {
      std::vector<float> values(size);
      checkpoint_.read(name, values);
      for (std::size_t i = 0; i < size; ++i) {
        if constexpr (std::is_same_v<Element, BF16>) {
          matrix.data()[i] = to_bf16(values[i]);
        } else {
          matrix.data()[i] = static_cast<Element>(values[i]);
        }
      }
    }
    return matrix;
  }

  Device& device_;
  const Checkpoint& checkpoint_;
  std::map<std::pair<WeightKind, std::size_t>, WeightName> names_;
};

/// Matrices are packed(their kind, their place in a layer, the layer's index, multiple).
template <class T, class P, class Device, class Packed>
std::vector<LayerWeights<T, P>> load_layers(const WeightLoader<Device, T, P>& load,
                                            std::size_t n_layers, const Packed& packed) {
  using enum WeightKind;
  using In = LayerWeights<T>;
  const std::size_t heads = load.whole_heads();
  std::vector<LayerWeights<T, P>> layers;
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    layers.push_back({load.plain(attention_norm, layer), packed(query, &In::query, layer, heads),
                      packed(key, &In::key, layer, heads), packed(value, &In::value, layer, heads),
                      load.plain(query_bias, layer), load.plain(key_bias, layer),
                      load.plain(value_bias, layer),
                      packed(attention_output, &In::attention_output, layer, kOutputMultiple),
                      load.plain(output_bias, layer), load.plain(feed_forward_norm, layer),
                      packed(gate, &In::gate, layer, kOutputMultiple),
                      packed(up, &In::up, layer, kOutputMultiple),
                      packed(down, &In::down, layer, kOutputMultiple), load.plain(gate_bias, layer),
                      load.plain(up_bias, layer), load.plain(down_bias, layer)});
  }
  return layers;
}

}  // namespace

template <class P, class T>
std::vector<PackedWeights<P>> transpose_output(Cpu& cpu, const Weights<T>& weights) {
  const MatrixView<const T> rows = weights.output();
  const PackedWeights<T>& packed = weights.packed_output;
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

template <class P, class T>
TransposedWeights<P> load_transposed_weights(Cpu& cpu, const Checkpoint& checkpoint,
                                             const Weights<T>& weights) {
  using enum WeightKind;
  const WeightLoader<Cpu, P, P> load(cpu, checkpoint);
  TransposedWeights<P> transposed{{}, transpose_output<P>(cpu, weights)};
  for (std::size_t layer = 0; layer < checkpoint.config().n_layers; ++layer) {
    transposed.layers.push_back(
        {load.transposed(query, layer), load.transposed(key, layer), load.transposed(value, layer),
         load.transposed(attention_output, layer, load.whole_heads()), load.transposed(gate, layer),
         load.transposed(up, layer), load.transposed(down, layer)});
  }
  return transposed;
}

template <class P, class T>
TransposedWeights<P> transpose_weights(std::span<const LayerWeights<T, P>> layers,
                                       const PackedWeights<P>& output) {
  TransposedWeights<P> transposed;
  for (const LayerWeights<T, P>& layer : layers) {
    transposed.layers.push_back({layer.query.transposed(), layer.key.transposed(),
                                 layer.value.transposed(), layer.attention_output.transposed(),
                                 layer.gate.transposed(), layer.up.transposed(),
                                 layer.down.transposed()});
  }
  transposed.output.push_back(output.transposed());
  return transposed;
}

template <class T, class Device>
Weights<T> load_weights(Device& device, const Checkpoint& checkpoint) {
  using enum WeightKind;
  const WeightLoader<Device, T, T> load(device, checkpoint);
  auto layers =
      load_layers<T, T>(load, checkpoint.config().n_layers,
                        [&](WeightKind kind, auto /*place*/, std::size_t layer,
                            std::size_t multiple) { return load.packed(kind, layer, multiple); });
  Matrix<T> embedding = load.plain(token_embedding);
  Matrix<T> untied = load.plain(output);
  const bool tied = checkpoint.config().tied_embeddings;
  PackedWeights<T> packed = pack_view(device, std::as_const(tied ? embedding : untied).view());
  return {checkpoint.config(),    std::move(embedding), std::move(layers),
          load.plain(final_norm), std::move(untied),    std::move(packed)};
}

template <class Device>
std::vector<LayerWeights<float, BF16>> load_rounded_layers(Device& device,
                                                           const Checkpoint& checkpoint,
                                                           const Weights<float>& weights) {
  const WeightLoader<Device, float, BF16> load(device, checkpoint);
  return load_layers<float, BF16>(
      load, weights.layers.size(),
      [&](WeightKind kind, auto place, std::size_t layer, std::size_t multiple) {
        const MatrixView<const BF16> kept = (weights.layers[layer].*place).bf16_rows();
        return kept.data != nullptr ? PackedWeights<BF16>(kept)
                                    : load.packed(kind, layer, multiple);
      });
}

#define LONGSHADOW_INSTANTIATE(Device)                                                            \
  template Weights<float> load_weights(Device&, const Checkpoint&);                               \
  template Weights<double> load_weights(Device&, const Checkpoint&);                              \
  template std::vector<LayerWeights<float, BF16>> load_rounded_layers(Device&, const Checkpoint&, \
                                                                      const Weights<float>&);
LONGSHADOW_INSTANTIATE(Cpu)
LONGSHADOW_INSTANTIATE(Cuda)
#undef LONGSHADOW_INSTANTIATE
template TransposedWeights<float> load_transposed_weights(Cpu&, const Checkpoint&,
                                                          const Weights<float>&);
template TransposedWeights<BF16> load_transposed_weights(Cpu&, const Checkpoint&,
                                                         const Weights<float>&);
template TransposedWeights<double> load_transposed_weights(Cpu&, const Checkpoint&,
                                                           const Weights<double>&);
template TransposedWeights<float> transpose_weights(std::span<const LayerWeights<float, float>>,
                                                    const PackedWeights<float>&);
template TransposedWeights<BF16> transpose_weights(std::span<const LayerWeights<float, BF16>>,
                                                   const PackedWeights<BF16>&);
template TransposedWeights<double> transpose_weights(std::span<const LayerWeights<double, double>>,
                                                     const PackedWeights<double>&);

}  // namespace longshadow
