#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/range.h"
#include "engine/model/full_pass.h"

namespace longshadow {

/// Keeps, while the full pass runs, the activations that the differential form starts from, for the
/// positions that counterfactuals measure. m is their number and some slack; a position takes
/// D elements and what the layers' parts keep.
template <class Device, class T>
class ActivationTape final : public LayerObserver<T> {
 public:
  /// Whole row tiles of positions that counterfactuals measure too may lie before the first.
  ActivationTape(Device& device, const ModelConfig& config, Range positions,
                 std::size_t row_tiles_before = 0);

  void before_layer(const Chunk& chunk, std::size_t layer, MatrixView<const T> residual) override;
  void after_attention(const Chunk& chunk, std::size_t layer,
                       const LayerActivations<T>& activations, HeadRows<const T> keys,
                       MatrixView<const T> residual) override;
  void after_feed_forward(const Chunk& chunk, std::size_t layer,
                          const LayerActivations<T>& activations) override;
  void after_layers(const Chunk& chunk, MatrixView<const T> residual) override;

  const Range& positions() const { return positions_; }
  std::size_t row_tiles_before() const { return row_tiles_before_; }
  const LayerTape<T>& layer(std::size_t index) const { return layers_[index]; }
  /// [m, D]: before the final norm.
  const Matrix<T>& final_residual() const { return final_residual_; }

 private:
  /// The rows of a chunk that the tape keeps.
  KeptRows kept(const Chunk& chunk) const;

  Device& device_;
  Range positions_;
  std::size_t row_tiles_before_;
  std::vector<LayerTape<T>> layers_;
  Matrix<T> final_residual_;
};

}  // namespace longshadow
