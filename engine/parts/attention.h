#pragma once

#include <cstddef>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/projection/rotary.h"
#include "engine/parts/head_norm.h"
#include "engine/parts/norm.h"
#include "engine/parts/part_size.h"
#include "engine/parts/row_batch.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// The matrices of an attention part, for products in one precision: as they are, or each
/// transposed.
struct AttentionMatrices {
  PackedWeights query, key, value;  ///< [H d, D], [K d, D], [K d, D], in whole heads
  PackedWeights output;             ///< [D, H d]

  /// get(kind, place, heads) brings one matrix; place takes it out of other AttentionMatrices.
  template <class Get>
  static AttentionMatrices from(const Get& get) {
    return {get(
                WeightKind::query, [](auto& m) -> auto& { return m.query; }, HeadSide::outputs),
            get(
                WeightKind::key, [](auto& m) -> auto& { return m.key; }, HeadSide::outputs),
            get(
                WeightKind::value, [](auto& m) -> auto& { return m.value; }, HeadSide::outputs),
            get(
                WeightKind::attention_output, [](auto& m) -> auto& { return m.output; },
                HeadSide::inputs)};
  }
};

/// The activations that attention computes, for R padded rows and one row tile beyond.
struct AttentionActivations {
  Tensor query_heads;      ///< [H R, d], rotated
  Tensor key_heads;        ///< [K R, d], rotated
  Tensor value_heads;      ///< [K R, d]
  Tensor attended;         ///< [R, H d]
  Tensor log_normalisers;  ///< [R, H]
  /// [H R, d], [K R, d], before the head norms; empty where the model has none.
  Tensor query_projections, key_projections;

  AttentionActivations(Device& device, const ModelConfig& config, Element element,
                       std::size_t rows);
};

/// The full pass's activations that the delta and the backward pass start from, for m rows.
struct AttentionTape {
  AttentionShape shape;
  Tensor residual;         ///< [m, D], the part's input
  Tensor query_heads;      ///< [H m, d], rotated
  Tensor log_normalisers;  ///< [m, H]
  Tensor attended;         ///< [m, H d]
  /// [H m, d], [K m, d], before the head norms; empty where the model has none.
  Tensor query_projections, key_projections;

  AttentionTape(Device& device, const ModelConfig& config, Element element, std::size_t rows);

  /// Keeps rows of what the part has computed; the residual is kept by who has it.
  void keep(Device& device, const KeptRows& rows, const AttentionActivations& from);
};

/// Changes of the activations, for R padded rows and one row tile beyond; in the products' type P
/// where a product takes them.
struct AttentionChanges {
  Tensor query_heads;        ///< [H R, d] P
  Tensor key_heads;          ///< [K R, d]
  Tensor value_heads;        ///< [K R, d] P
  Tensor attended;           ///< [R, H d] P
  Tensor query_projections;  ///< [H R, d], before the head norm; empty where the model has none

  AttentionChanges(Device& device, const ModelConfig& config, const PassElements& elements,
                   std::size_t rows);
};

/// Gradients of the activations, for R padded rows; in the products' type P where a product takes
/// them.
struct AttentionGradientRows {
  Tensor attended_heads;     ///< [H (R + kRowTile), d]
  Tensor queries, keys;      ///< [R, H d], [R, K d], rotated
  Tensor unrotated_queries;  ///< [R, H d] P
  Tensor unrotated_keys;     ///< [R, K d] P
  Tensor values;             ///< [R, K d] P
  /// [R, H d], [R, K d], before the head norms; empty where the model has none.
  Tensor query_projections, key_projections;

  AttentionGradientRows(Device& device, const ModelConfig& config, const PassElements& elements,
                        std::size_t rows);
};

/// The full pass's keys and values of a layer, in its precision and in that of the products with
/// changes or gradients.
struct FullCache {
  KeysValuesView exact;
  KeysValuesView rounded;
};

/// The first half of a decoder layer: x += W_o attention(rope(W_q n), rope(W_k n), W_v n) with
/// n = norm(x), with biases, and norms over the heads of q and k before rope, where the model has
/// them.
class Attention {
 public:
  Attention(const WeightLoader& load, const ModelConfig& config, std::size_t layer);

  /// The part's tensors in a layer of `config`.
  static void add_names(const ModelConfig& config, LayerNames& names);
  static PartSize size(const ModelConfig& config);

  /// x [padded rows, D], the residual stream, read and written; `prefix` holds the layer's keys and
  /// values of the positions before every stream. normed [padded rows, D] is scratch.
  void forward(Device& device, const AttentionMatrices& matrices, const RotaryTable& rotary,
               const RowBatch& batch, KeysValuesView prefix, ColumnOrder order, TensorView normed,
               AttentionActivations& s, TensorView x) const;

  /// dx [padded rows, D], the change of the residual stream, read and written. The streams name the
  /// columns that they lose. `row_tiles_before` as FullAttention has it.
  void delta(Device& device, const AttentionMatrices& matrices, const RotaryTable& rotary,
             const DeltaBatch& batch, const AttentionTape& tape, const FullCache& cache,
             std::size_t row_tiles_before, TensorView dnormed, AttentionChanges& s,
             TensorView dx) const;

  /// dx [padded rows, D], the gradient of the residual stream, read and written. `transposed` has
  /// each matrix transposed; `rounded` [padded rows, D] is dx's place in the products'
  /// type, or has no rows where that is dx's; gates [streams K,
  /// context] as AttentionGradients::removals.
  void backward(Device& device, const AttentionMatrices& transposed, const RotaryTable& rotary,
                const GradientBatch& batch, const AttentionTape& tape, const FullCache& cache,
                TensorView rounded, TensorView dnormed, AttentionGradientRows& s, TensorView gates,
                TensorView dx) const;

 private:
  AttentionShape shape_;
  Norm norm_;
  Tensor query_bias_, key_bias_, value_bias_;  ///< [1, H d], [1, K d], [1, K d] or empty
  Tensor output_bias_;                         ///< [1, D] or empty
  HeadNorm query_norm_, key_norm_;
};

AttentionShape attention_shape(const ModelConfig& config);

}  // namespace longshadow
