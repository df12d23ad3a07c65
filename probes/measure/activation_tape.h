#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/range.h"
#include "engine/model/full_pass.h"

namespace longshadow {

/// Keeps, while the full pass runs, the activations that the differential form starts from, for the
/// positions that counterfactuals measure. m is their number and some slack; a position takes
/// D elements and what the layers' parts keep.
class ActivationTape final : public LayerObserver {
 public:
  /// Whole row tiles of positions that counterfactuals measure too may lie before the first.
  ActivationTape(Device& device, const Weights& weights, Range positions,
                 std::size_t row_tiles_before = 0);

  void before_layer(const Chunk& chunk, std::size_t layer, ConstTensorView residual) override;
  void after_attention(const Chunk& chunk, std::size_t layer, const LayerActivations& activations,
                       ConstHeadsView keys, ConstTensorView residual) override;
  void after_feed_forward(const Chunk& chunk, std::size_t layer,
                          const LayerActivations& activations) override;
  void after_layers(const Chunk& chunk, ConstTensorView residual) override;

  const Range& positions() const { return positions_; }
  std::size_t row_tiles_before() const { return row_tiles_before_; }
  const LayerTape& layer(std::size_t index) const { return layers_[index]; }
  /// [m, D]: before the final norm.
  const Tensor& final_residual() const { return final_residual_; }

 private:
  /// The rows of a chunk that the tape keeps.
  KeptRows kept(const Chunk& chunk) const;

  Device& device_;
  Range positions_;
  std::size_t row_tiles_before_;
  std::vector<LayerTape> layers_;
  Tensor final_residual_;
};

}  // namespace longshadow
