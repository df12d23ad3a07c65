#pragma once

#include <span>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/matrix.h"
#include "engine/parts/embedding.h"
#include "engine/parts/head.h"
#include "engine/parts/layer.h"

namespace longshadow {

/// Every tensor of a model of this configuration.
std::vector<WeightName> weight_table(const ModelConfig& config);

/// A model in a device's memory, for a pass in T: a list of parts, and the matrices that their
/// products read.
template <class T>
struct Weights {
  ModelConfig config;
  Embedding<T> embedding;
  std::vector<Layer<T>> layers;
  std::vector<LayerMatrices<T>> matrices;  ///< [L]
  Head<T> head;
};

/// Reads, converts and packs every weight, in the device's memory. Holds one tensor in f32 beside
/// the result at a time. On a CUDA device f32 matrices of layers stay in bf16 where the file keeps
/// them so: the products are the same. Throws Error as WeightSource::read() does.
template <class T, class Device>
Weights<T> load_weights(Device& device, const WeightSource& source);

/// The layers' matrices for products in bf16. Those that `weights` keeps in bf16 are in its memory,
/// which must then outlive the result.
template <class Device>
std::vector<LayerMatrices<BF16>> load_rounded_matrices(Device& device, const WeightSource& source,
                                                       const Weights<float>& weights);

/// Matrices for products that carry gradients from outputs to inputs: dx = dy W is linear(dy, Wᵀ).
template <class P>
struct TransposedWeights {
  std::vector<LayerMatrices<P>> layers;
  /// Of each tile of Head::packed_output, as ProbedOutput takes them.
  std::vector<PackedWeights<P>> output;
};

template <class P, class T>
TransposedWeights<P> load_transposed_weights(Cpu& cpu, const WeightSource& source,
                                             const Weights<T>& weights);

/// The same for a CUDA device, from the memory of matrices and of the output [V, D], both of which
/// must outlive the result.
template <class P>
TransposedWeights<P> transpose_weights(std::span<const LayerMatrices<P>> matrices,
                                       const PackedWeights<P>& output);

}  // namespace longshadow
