#pragma once

#include <cstddef>
#include <vector>

#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/matrix.h"
#include "engine/ops/attention/attention.h"
#include "engine/ops/attention/attention_delta.h"
#include "engine/ops/projection/rotary.h"
#include "engine/parts/head_norm.h"
#include "engine/parts/norm.h"
#include "engine/parts/part_size.h"
#include "engine/parts/row_batch.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// The matrices of an attention part for products in P: as they are, or each transposed.
template <class P>
struct AttentionMatrices {
  PackedWeights<P> query, key, value;  ///< [H d, D], [K d, D], [K d, D], in whole heads
  PackedWeights<P> output;             ///< [D, H d]

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

/// What attention computes on its way, for R padded rows and one row tile beyond.
template <class T>
struct AttentionActivations {
  Matrix<T> query_heads;      ///< [H R, d], rotated
  Matrix<T> key_heads;        ///< [K R, d], rotated
  Matrix<T> value_heads;      ///< [K R, d]
  Matrix<T> attended;         ///< [R, H d]
  Matrix<T> log_normalisers;  ///< [R, H]
  /// [H R, d], [K R, d], before the head norms; empty where the model has none.
  Matrix<T> query_projections, key_projections;

  template <class Device>
  AttentionActivations(Device& device, const ModelConfig& config, std::size_t rows);
};

/// What of the full pass the delta and the backward pass start from, for m rows.
template <class T>
struct AttentionTape {
  AttentionShape shape;
  Matrix<T> residual;         ///< [m, D], the part's input
  Matrix<T> query_heads;      ///< [H m, d], rotated
  Matrix<T> log_normalisers;  ///< [m, H]
  Matrix<T> attended;         ///< [m, H d]
  /// [H m, d], [K m, d], before the head norms; empty where the model has none.
  Matrix<T> query_projections, key_projections;

  template <class Device>
  AttentionTape(Device& device, const ModelConfig& config, std::size_t rows);

  /// Keeps rows of what the part has computed; the residual is kept by who has it.
  template <class Device>
  void keep(Device& device, const KeptRows& rows, const AttentionActivations<T>& from);
};

/// Changes of the activations, for R padded rows and one row tile beyond; in P where a product
/// takes them.
template <class T, class P>
struct AttentionChanges {
  Matrix<P> query_heads;        ///< [H R, d]
  Matrix<T> key_heads;          ///< [K R, d]
  Matrix<P> value_heads;        ///< [K R, d]
  Matrix<P> attended;           ///< [R, H d]
  Matrix<T> query_projections;  ///< [H R, d], before the head norm; empty where the model has none

  template <class Device>
  AttentionChanges(Device& device, const ModelConfig& config, std::size_t rows);
};

/// Gradients of the activations, for R padded rows; in P where a product takes them.
template <class T, class P>
struct AttentionGradientRows {
  Matrix<T> attended_heads;     ///< [H (R + kRowTile), d]
  Matrix<T> queries, keys;      ///< [R, H d], [R, K d], rotated
  Matrix<P> unrotated_queries;  ///< [R, H d]
  Matrix<P> unrotated_keys;     ///< [R, K d]
  Matrix<P> values;             ///< [R, K d]
  /// [R, H d], [R, K d], before the head norms; empty where the model has none.
  Matrix<T> query_projections, key_projections;

  template <class Device>
  AttentionGradientRows(Device& device, const ModelConfig& config, std::size_t rows);
};

/// The full pass's keys and values of a layer, in its precision and in that of the products with
/// changes or gradients.
template <class T, class P>
struct FullCache {
  KeysValues<const T> exact;
  KeysValues<const P> rounded;
};

/// The first half of a decoder layer: x += W_o attention(rope(W_q n), rope(W_k n), W_v n) with
/// n = norm(x), with biases, and norms over the heads of q and k before rope, where the model has
/// them.
template <class T>
class Attention {
 public:
  template <class Device>
  Attention(const WeightLoader<Device, T, T>& load, const ModelConfig& config, std::size_t layer);

  /// The part's tensors in a layer of `config`.
  static void add_names(const ModelConfig& config, LayerNames& names);
  static PartSize size(const ModelConfig& config);

  /// x [padded rows, D], the residual stream, read and written; `prefix` holds the layer's keys and
  /// values of the positions before every stream. normed [padded rows, D] is scratch.
  template <class Device>
  void forward(Device& device, const AttentionMatrices<T>& matrices, const RotaryTable<T>& rotary,
               const RowBatch& batch, KeysValues<const T> prefix, ColumnOrder order,
               MatrixView<T> normed, AttentionActivations<T>& s, MatrixView<T> x) const;

  /// dx [padded rows, D], the change of the residual stream, read and written. The streams name the
  /// columns that they lose. `row_tiles_before` as FullAttention has it.
  template <class Device, class P>
  void delta(Device& device, const AttentionMatrices<P>& matrices, const RotaryTable<T>& rotary,
             const DeltaBatch& batch, const AttentionTape<T>& tape, const FullCache<T, P>& cache,
             std::size_t row_tiles_before, MatrixView<P> dnormed, AttentionChanges<T, P>& s,
             MatrixView<T> dx) const;

  /// dx [padded rows, D], the gradient of the residual stream, read and written. `transposed` has
  /// each matrix transposed; `rounded` [padded rows, D] is dx's place in P; gates [streams K,
  /// context] as AttentionGradients::removals.
  template <class Device, class P>
  void backward(Device& device, const AttentionMatrices<P>& transposed,
                const RotaryTable<T>& rotary, const GradientBatch& batch,
                const AttentionTape<T>& tape, const FullCache<T, P>& cache, MatrixView<P> rounded,
                MatrixView<T> dnormed, AttentionGradientRows<T, P>& s, MatrixView<T> gates,
                MatrixView<T> dx) const;

 private:
  AttentionShape shape_;
  Norm<T> norm_;
  Matrix<T> query_bias_, key_bias_, value_bias_;  ///< [1, H d], [1, K d], [1, K d] or empty
  Matrix<T> output_bias_;                         ///< [1, D] or empty
  HeadNorm<T> query_norm_, key_norm_;
};

AttentionShape attention_shape(const ModelConfig& config);

}  // namespace longshadow
