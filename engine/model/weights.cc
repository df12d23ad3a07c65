#include "engine/model/weights.h"

#include <algorithm>
#include <map>
#include <utility>

namespace longshadow {
namespace {

/// Finds tensors in the weight table and brings them into the form a device wants.
template <class T, class P>
class WeightLoader {
 public:
  WeightLoader(Cpu& cpu, const Checkpoint& checkpoint) : cpu_(cpu), checkpoint_(checkpoint) {
    for (WeightName& name : weight_table(checkpoint.config())) {
      const auto key = std::pair(name.kind, name.layer);
      names_.emplace(key, std::move(name));
    }
  }

  Matrix<T> plain(WeightKind kind, std::size_t layer = 0) const {
    const auto found = names_.find({kind, layer});
    return found == names_.end() ? Matrix<T>() : read<T>(found->second);
  }

  PackedWeights<P> packed(WeightKind kind, std::size_t layer) const {
    const Matrix<P> plain = read<P>(names_.at({kind, layer}));
    return PackedWeights<P>(cpu_, plain.view());
  }

 private:
  template <class Element>
  Matrix<Element> read(const WeightName& name) const {
    Matrix<Element> matrix(cpu_.memory(), name.rows, name.cols);
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

  Cpu& cpu_;
  const Checkpoint& checkpoint_;
  std::map<std::pair<WeightKind, std::size_t>, WeightName> names_;
};

}  // namespace

template <class T, class P>
std::vector<LayerWeights<T, P>> load_layers(Cpu& cpu, const Checkpoint& checkpoint) {
  using enum WeightKind;
  const WeightLoader<T, P> load(cpu, checkpoint);
  std::vector<LayerWeights<T, P>> layers;
  for (std::size_t layer = 0; layer < checkpoint.config().n_layers; ++layer) {
    layers.push_back({load.plain(attention_norm, layer), load.packed(query, layer),
                      load.packed(key, layer), load.packed(value, layer),
                      load.plain(query_bias, layer), load.plain(key_bias, layer),
                      load.plain(value_bias, layer), load.packed(attention_output, layer),
                      load.plain(feed_forward_norm, layer), load.packed(gate, layer),
                      load.packed(up, layer), load.packed(down, layer)});
  }
  return layers;
}

template <class T>
Weights<T> load_weights(Cpu& cpu, const Checkpoint& checkpoint) {
  using enum WeightKind;
  const WeightLoader<T, T> load(cpu, checkpoint);
  Matrix<T> embedding = load.plain(token_embedding);
  Matrix<T> untied = load.plain(output);
  const bool tied = checkpoint.config().tied_embeddings;
  PackedWeights<T> packed(cpu, std::as_const(tied ? embedding : untied).view());
  return {checkpoint.config(),    std::move(embedding), load_layers<T, T>(cpu, checkpoint),
          load.plain(final_norm), std::move(untied),    std::move(packed)};
}

template Weights<float> load_weights(Cpu&, const Checkpoint&);
template Weights<double> load_weights(Cpu&, const Checkpoint&);
template std::vector<LayerWeights<float, BF16>> load_layers(Cpu&, const Checkpoint&);

}  // namespace longshadow
