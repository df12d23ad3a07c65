#pragma once

#include <span>
#include <vector>

#include "engine/backend/device.h"
#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/parts/embedding.h"
#include "engine/parts/head.h"
#include "engine/parts/layer.h"

namespace longshadow {

/// Every tensor of a model of this configuration.
std::vector<WeightName> weight_table(const ModelConfig& config);

/// A model in a device's memory: a list of parts, and the matrices that their products read.
struct Weights {
  ModelConfig config;
  Embedding embedding;
  std::vector<Layer> layers;
  std::vector<LayerMatrices> matrices;  ///< [L]
  Head head;

  /// The type of activations and of the products of a full pass: f32 or f64.
  Element element() const { return embedding.table.element(); }
};

/// Reads, converts and packs every weight, in the device's memory. Holds one tensor in f32 beside
/// the result at a time. On a CUDA device f32 matrices of layers stay in bf16 where the file keeps
/// them so: the products are the same. Throws Error as WeightSource::read() does.
Weights load_weights(Device& device, const WeightSource& source, Element element);

/// The layers' matrices for products in bf16. Those that `weights` keeps in bf16 are in its memory,
/// which must then outlive the result.
std::vector<LayerMatrices> load_rounded_matrices(Device& device, const WeightSource& source,
                                                 const Weights& weights);

/// Matrices for products that carry gradients from outputs to inputs: dx = dy W is linear(dy, Wᵀ).
struct TransposedWeights {
  std::vector<LayerMatrices> layers;
  /// The transpose of each tile of Head::packed_output, as ProbedOutputView takes them.
  std::vector<PackedWeights> output;
};

/// The transposes of `matrices` and of `output` [V, D], the head's matrix, all of one type. On the
/// processor they are read once more; on a CUDA device they are of the memory of what they are the
/// transposes of, which must then outlive the result.
TransposedWeights transpose_weights(Device& device, const WeightSource& source, const Head& head,
                                    std::span<const LayerMatrices> matrices,
                                    const PackedWeights& output);

}  // namespace longshadow
