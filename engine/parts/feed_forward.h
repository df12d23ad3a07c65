#pragma once

#include <cstddef>

#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/parts/part_size.h"
#include "engine/parts/residual_stream.h"
#include "engine/parts/row_batch.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// The matrices of a feed-forward part, for products in one precision: as they are, or each
/// transposed.
struct FeedForwardMatrices {
  PackedWeights gate, up;  ///< [F, D]
  PackedWeights down;      ///< [D, F]

  /// As AttentionMatrices::from().
  template <class Get>
  static FeedForwardMatrices from(const Get& get) {
    return {get(
                WeightKind::gate, [](auto& m) -> auto& { return m.gate; }, HeadSide::none),
            get(
                WeightKind::up, [](auto& m) -> auto& { return m.up; }, HeadSide::none),
            get(
                WeightKind::down, [](auto& m) -> auto& { return m.down; }, HeadSide::none)};
  }
};

/// The activations that a feed-forward part computes, for R padded rows and one row tile beyond.
struct FeedForwardActivations {
  Tensor gate, up, gated;  ///< [R, F]
  Tensor output;           ///< [R, D], before the norm behind the part, or empty

  FeedForwardActivations(Device& device, const ModelConfig& config, Element element,
                         std::size_t rows);
};

/// The full pass's activations that the delta and the backward pass start from, for m rows.
struct FeedForwardTape {
  Tensor residual;  ///< [m, D], the part's input; empty where no norm reads it
  Tensor gate, up;  ///< [m, F]
  Tensor output;    ///< [m, D], before the norm behind the part; empty where the model has none

  FeedForwardTape(Device& device, const ModelConfig& config, Element element, std::size_t rows);

  void keep_residual(Device& device, const KeptRows& rows, ConstTensorView from);
  /// Keeps rows of what the part has computed.
  void keep(Device& device, const KeptRows& rows, const FeedForwardActivations& from);
};

/// Changes of the activations, for R padded rows and one row tile beyond; in the products' type P
/// where a product takes them.
struct FeedForwardChanges {
  Tensor gated;   ///< [R, F] P
  Tensor output;  ///< [R, D], before the norm behind the part; empty where the model has none

  FeedForwardChanges(Device& device, const ModelConfig& config, const PassElements& elements,
                     std::size_t rows)
      : gated(device.memory(), elements.products, rows, config.feed_forward_size),
        output(make_part_output(device, config, elements.activations, rows)) {}
};

/// Gradients of the activations, for R padded rows; in the products' type P where a product takes
/// them.
struct FeedForwardGradients {
  Tensor gated;     ///< [R, F]
  Tensor gate, up;  ///< [R, F] P
  Tensor output;    ///< [R, D], before the norm behind the part; empty where the model has none

  FeedForwardGradients(Device& device, const ModelConfig& config, const PassElements& elements,
                       std::size_t rows)
      : gated(device.memory(), elements.activations, rows, config.feed_forward_size),
        gate(device.memory(), elements.products, rows, config.feed_forward_size),
        up(device.memory(), elements.products, rows, config.feed_forward_size),
        output(make_part_output(device, config, elements.activations, rows)) {}
};

/// The second half of a decoder layer: x += W_down (act(W_gate n) W_up n) with n = norm(x), and
/// biases where the model has them; a norm may lie behind the part, instead or as well.
class FeedForward {
 public:
  FeedForward(const WeightLoader& load, const ModelConfig& config, std::size_t layer);

  /// The part's tensors in a layer of `config`.
  static void add_names(const ModelConfig& config, LayerNames& names);
  static PartSize size(const ModelConfig& config);

  /// x [padded rows, D], the residual stream, read and written; normed [padded rows, D] is scratch.
  void forward(Device& device, const FeedForwardMatrices& matrices, TensorView normed,
               FeedForwardActivations& s, TensorView x) const;

  /// dx [padded rows, D], the change of the residual stream, read and written.
  void delta(Device& device, const FeedForwardMatrices& matrices, const DeltaBatch& batch,
             const FeedForwardTape& tape, TensorView dnormed, FeedForwardChanges& s,
             TensorView dx) const;

  /// dx [padded rows, D], the gradient of the residual stream, read and written. `transposed` has
  /// each matrix transposed; `rounded` [padded rows, D] is dx's place in the products'
  /// type, or has no rows where that is dx's.
  void backward(Device& device, const FeedForwardMatrices& transposed, const GradientBatch& batch,
                const FeedForwardTape& tape, TensorView rounded, TensorView dnormed,
                FeedForwardGradients& s, TensorView dx) const;

 private:
  Activation activation_;
  PartInput input_;
  Tensor gate_bias_, up_bias_;  ///< [1, F] or empty
  PartOutput output_;
};

}  // namespace longshadow
