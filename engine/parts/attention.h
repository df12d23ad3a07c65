#pragma once

#include <cstddef>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/projection/rotary.h"
#include "engine/parts/part_size.h"
#include "engine/parts/query_key_norm.h"
#include "engine/parts/residual_stream.h"
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
  /// [R, H d], [R, K d], before their norms; empty where the model has none.
  Tensor query_projections, key_projections;
  Tensor output, normed_output;  ///< [R, D], before and behind the norm behind the part, or empty

  AttentionActivations(Device& device, const ModelConfig& config, Element element,
                       std::size_t rows);
};

/// The full pass's activations that the delta and the backward pass start from, for m rows.
struct AttentionTape {
  std::size_t n_heads;     ///< H
  Tensor residual;         ///< [m, D], the part's input; empty where no norm reads it
  Tensor query_heads;      ///< [H m, d], rotated
  Tensor log_normalisers;  ///< [m, H]
  Tensor attended;         ///< [m, H d]
  /// [m, H d], [m, K d], before their norms; empty where the model has none.
  Tensor query_projections, key_projections;
  Tensor output;  ///< [m, D], before the norm behind the part; empty where the model has none

  AttentionTape(Device& device, const ModelConfig& config, Element element, std::size_t rows);

  void keep_residual(Device& device, const KeptRows& rows, ConstTensorView from);
  /// Keeps rows of what the part has computed.
  void keep(Device& device, const KeptRows& rows, const AttentionActivations& from);
};

/// Changes of the activations, for R padded rows and one row tile beyond; in the products' type P
/// where a product takes them.
struct AttentionChanges {
  Tensor query_heads;  ///< [H R, d] P
  Tensor key_heads;    ///< [K R, d]
  Tensor value_heads;  ///< [K R, d] P
  Tensor attended;     ///< [R, H d] P
  Tensor projections;  ///< [R, H d], before a norm; empty where the model has none
  Tensor output;       ///< [R, D], before the norm behind the part, or empty

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
  /// [R, H d], [R, K d], before their norms; empty where the model has none.
  Tensor query_projections, key_projections;
  Tensor output;  ///< [R, D], before the norm behind the part; empty where the model has none

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
/// n = norm(x), with biases, and norms of q and k before rope, where the model has them; a norm
/// may lie behind the part, instead or as well.
class Attention {
 public:
  Attention(const WeightLoader& load, const ModelConfig& config, std::size_t layer);

  /// The part's tensors in a layer of `config`.
  static void add_names(const ModelConfig& config, LayerNames& names);
  static PartSize size(const ModelConfig& config);

  /// x [padded rows, D], the residual stream, read and written; `prefix` holds the layer's keys and
  /// values of the positions before every stream; normed [padded rows, D] becomes n.
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
  PartInput input_;
  Tensor query_bias_, key_bias_, value_bias_;  ///< [1, H d], [1, K d], [1, K d] or empty
  ProjectionNorm query_norm_, key_norm_;
  PartOutput output_;
};

ScoreForm score_form(const ModelConfig& config);
AttentionShape attention_shape(const ModelConfig& config, std::size_t layer);

}  // namespace longshadow
