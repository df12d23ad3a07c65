#pragma once

#include <cstddef>

#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/matrix.h"
#include "engine/parts/norm.h"
#include "engine/parts/part_size.h"
#include "engine/parts/row_batch.h"
#include "engine/parts/weight_loader.h"

namespace longshadow {

/// The matrices of a feed-forward part for products in P: as they are, or each transposed.
template <class P>
struct FeedForwardMatrices {
  PackedWeights<P> gate, up;  ///< [F, D]
  PackedWeights<P> down;      ///< [D, F]

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

/// What a feed-forward part computes on its way, for R padded rows and one row tile beyond.
template <class T>
struct FeedForwardActivations {
  Matrix<T> gate, up, gated;  ///< [R, F]

  template <class Device>
  FeedForwardActivations(Device& device, const ModelConfig& config, std::size_t rows);
};

/// What of the full pass the delta and the backward pass start from, for m rows.
template <class T>
struct FeedForwardTape {
  Matrix<T> residual;  ///< [m, D], the part's input
  Matrix<T> gate, up;  ///< [m, F]

  template <class Device>
  FeedForwardTape(Device& device, const ModelConfig& config, std::size_t rows);

  /// Keeps rows of what the part has computed; the residual is kept by who has it.
  template <class Device>
  void keep(Device& device, const KeptRows& rows, const FeedForwardActivations<T>& from);
};

/// The change of the gated activations, [R, F] for R padded rows and one row tile beyond.
template <class P>
struct FeedForwardChanges {
  Matrix<P> gated;

  template <class Device>
  FeedForwardChanges(Device& device, const ModelConfig& config, std::size_t rows)
      : gated(device.memory(), rows, config.feed_forward_size) {}
};

/// Gradients of the activations, [R, F] for R padded rows.
template <class T, class P>
struct FeedForwardGradients {
  Matrix<T> gated;
  Matrix<P> gate, up;

  template <class Device>
  FeedForwardGradients(Device& device, const ModelConfig& config, std::size_t rows)
      : gated(device.memory(), rows, config.feed_forward_size),
        gate(device.memory(), rows, config.feed_forward_size),
        up(device.memory(), rows, config.feed_forward_size) {}
};

/// The second half of a decoder layer: x += W_down (silu(W_gate n) W_up n) with n = norm(x), and
/// biases where the model has them.
template <class T>
class FeedForward {
 public:
  template <class Device>
  FeedForward(const WeightLoader<Device, T, T>& load, const ModelConfig& config, std::size_t layer);

  /// The part's tensors in a layer of `config`.
  static void add_names(const ModelConfig& config, LayerNames& names);
  static PartSize size(const ModelConfig& config);

  /// x [padded rows, D], the residual stream, read and written; normed [padded rows, D] is scratch.
  template <class Device>
  void forward(Device& device, const FeedForwardMatrices<T>& matrices, MatrixView<T> normed,
               FeedForwardActivations<T>& s, MatrixView<T> x) const;

  /// dx [padded rows, D], the change of the residual stream, read and written.
  template <class Device, class P>
  void delta(Device& device, const FeedForwardMatrices<P>& matrices, const DeltaBatch& batch,
             const FeedForwardTape<T>& tape, MatrixView<P> dnormed, FeedForwardChanges<P>& s,
             MatrixView<T> dx) const;

  /// dx [padded rows, D], the gradient of the residual stream, read and written. `transposed` has
  /// each matrix transposed; `rounded` [padded rows, D] is dx's place in P.
  template <class Device, class P>
  void backward(Device& device, const FeedForwardMatrices<P>& transposed,
                const GradientBatch& batch, const FeedForwardTape<T>& tape, MatrixView<P> rounded,
                MatrixView<T> dnormed, FeedForwardGradients<T, P>& s, MatrixView<T> dx) const;

 private:
  Norm<T> norm_;
  Matrix<T> gate_bias_, up_bias_, down_bias_;  ///< [1, F], [1, F], [1, D] or empty
};

}  // namespace longshadow
