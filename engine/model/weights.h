#pragma once

#include <span>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/model/checkpoint.h"
#include "engine/model/config.h"

namespace longshadow {

/// One decoder layer's weights: T is the activations' type, P the products' (see PackedWeights).
/// Shapes are those of WeightKind; vectors are [1, size], absent biases [0, 0]; query, key and
/// value are packed in whole heads, as project_heads() takes them.
template <class T, class P = T>
struct LayerWeights {
  Matrix<T> attention_norm;
  PackedWeights<P> query, key, value;
  Matrix<T> query_bias, key_bias, value_bias;
  PackedWeights<P> attention_output;
  Matrix<T> output_bias;
  Matrix<T> feed_forward_norm;
  PackedWeights<P> gate, up, down;
  Matrix<T> gate_bias, up_bias, down_bias;
};

template <class T>
struct Weights {
  ModelConfig config;
  Matrix<T> token_embedding;  ///< [V, D]
  std::vector<LayerWeights<T>> layers;
  Matrix<T> final_norm;     ///< [1, D]
  Matrix<T> untied_output;  ///< the same, or [0, 0] where the embeddings are tied

  PackedWeights<T> packed_output;  ///< output()

  /// [V, D]: the logits are hidden outputᵀ.
  MatrixView<const T> output() const {
    return (config.tied_embeddings ? token_embedding : untied_output).view();
  }
};

/// Reads, converts and packs every weight, in the device's memory. Holds one tensor in f32 beside
/// the result at a time. On a CUDA device f32 matrices of layers stay in bf16 where the file keeps
/// them so: the products are the same. Throws Error as Checkpoint::read does.
template <class T, class Device>
Weights<T> load_weights(Device& device, const Checkpoint& checkpoint);

/// The layers alone, for products in bf16. Matrices that `weights` keeps in bf16 are in its memory,
/// which must then outlive the result.
template <class Device>
std::vector<LayerWeights<float, BF16>> load_rounded_layers(Device& device,
                                                           const Checkpoint& checkpoint,
                                                           const Weights<float>& weights);

/// One layer's matrices transposed, for products that carry gradients from outputs to inputs:
/// dx = dy W is linear(dy, Wᵀ). attention_output is packed in whole heads.
template <class P>
struct TransposedLayer {
  PackedWeights<P> query, key, value;
  PackedWeights<P> attention_output;
  PackedWeights<P> gate, up, down;
};

template <class P>
struct TransposedWeights {
  std::vector<TransposedLayer<P>> layers;
  /// Of each tile of Weights::packed_output, as ProbedOutput takes them.
  std::vector<PackedWeights<P>> output;
};

template <class P, class T>
TransposedWeights<P> load_transposed_weights(Cpu& cpu, const Checkpoint& checkpoint,
                                             const Weights<T>& weights);

/// The same for a CUDA device, from the memory of layers and of the output matrix [V, D], both of
/// which must outlive the result.
template <class P, class T>
TransposedWeights<P> transpose_weights(std::span<const LayerWeights<T, P>> layers,
                                       const PackedWeights<P>& output);

}  // namespace longshadow
