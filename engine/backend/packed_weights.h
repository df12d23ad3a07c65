#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>

#include "engine/backend/tile_product.h"
#include "engine/core/element.h"
#include "engine/core/range.h"
#include "engine/core/require.h"
#include "engine/core/tensor.h"

namespace longshadow {

class Cpu;

/// Rows of activations in one tile of a product with weights. Row counts are padded to it, so that
/// every product of a layer has one shape and a row's bits do not depend on how many rows come with
/// it.
inline constexpr std::size_t kRowTile = 128;

/// Rows of a product for one token that follows many: reading the weights takes longer than
/// multiplying them with so few, and attention's tiles have no fewer.
inline constexpr std::size_t kFewRows = 16;

/// Outputs come in multiples of this many, one vector register of f32.
inline constexpr std::size_t kOutputMultiple = 16;

/// Outputs in one tile at most: 512 columns of f32 weights for 576 inputs are 1.2 MB, about what a
/// core's second-level cache and a fair share of the third hold beside the rows.
inline constexpr std::size_t kMaxTileOutputs = 512;

/// Requires a number of rows that a product with weights takes: kFewRows, or kRowTile times 1, 2,
/// ...
inline void require_product_rows(const char* operation, const char* argument, std::size_t found) {
  if constexpr (kContracts) {
    if (found == kFewRows || (found != 0 && found % kRowTile == 0)) return;
    fail_contract(operation, argument, std::to_string(found),
                  std::to_string(kFewRows) + " or a multiple of " + std::to_string(kRowTile));
  }
}

/// The right-hand factor of y = x Wᵀ, W [out, in], stored the way a device's product wants to read
/// it: on the processor split into tiles of outputs, on a CUDA device as it is, or in bf16 where it
/// consists of such numbers. W is f64 or f32, or bf16 or bytes for f32 sums; those of bytes are
/// exact up to 1024 inputs.
class PackedWeights final {
 public:
  /// w [out, in]. Tiles but the last hold a multiple of `multiple` outputs, itself a multiple of
  /// kOutputMultiple.
  PackedWeights(Cpu& cpu, ConstTensorView w, std::size_t multiple = kOutputMultiple);
  /// W [out, in] in the memory of a device that wants it as it is; the view must outlive it.
  explicit PackedWeights(Tensor w);
  explicit PackedWeights(ConstTensorView w);
  /// Takes f32 weights kept in bf16, to be widened when they are multiplied.
  static PackedWeights kept_in_bf16(Tensor w);
  PackedWeights(PackedWeights&&) noexcept;
  PackedWeights& operator=(PackedWeights&&) noexcept;
  ~PackedWeights();

  Element element() const { return element_; }
  std::size_t outputs() const { return outputs_; }
  std::size_t inputs() const { return inputs_; }

  /// Outputs are multiplied in tiles.
  std::size_t n_tiles() const { return (outputs_ + tile_outputs_ - 1) / tile_outputs_; }
  /// The outputs of tile `index`.
  std::size_t tile_begin(std::size_t index) const { return index * tile_outputs_; }
  std::size_t tile_width(std::size_t index) const {
    return std::min(tile_outputs_, outputs_ - tile_begin(index));
  }
  /// Columns that the tile's product has: its outputs and, up to a multiple of kOutputMultiple,
  /// zeros.
  std::size_t padded_width(std::size_t index) const {
    return round_up(tile_width(index), kOutputMultiple);
  }

  /// W [out, in], where it is stored as it is; Wᵀ [in, out] in what transposed() returns. Throws
  /// Error where it is kept otherwise.
  ConstTensorView rows() const;
  /// W or Wᵀ as rows() where wider weights are kept in bf16; elsewhere [0, 0].
  ConstTensorView bf16_rows() const;
  RightFactor layout() const;

  /// The right-hand factor of y = x W, from the same memory, where W is stored as it is and not
  /// transposed itself; this must outlive it.
  PackedWeights transposed() const;

  /// y [rows, padded_width(tile)] = x [rows, in] times the tile, for kRowTile or kFewRows rows; x
  /// has the weights' type, and y that of the sums. Both must be dense (stride equal to cols):
  /// oneDNN 2.6 falls back to its reference code, a thousand times slower, for packed weights
  /// beside anything else. On the calling thread.
  void multiply_tile(std::size_t tile, ConstTensorView x, TensorView y) const;

 private:
  struct Storage;
  PackedWeights(Element element, std::size_t outputs, std::size_t inputs, std::size_t tile_outputs);

  Element element_;
  std::size_t outputs_;
  std::size_t inputs_;
  std::size_t tile_outputs_;
  std::unique_ptr<Storage> storage_;
};

/// Requires weights W [outputs, inputs].
inline void require_weights(const char* operation, const char* argument, const PackedWeights& found,
                            std::size_t outputs, std::size_t inputs) {
  if constexpr (kContracts) {
    if (found.outputs() == outputs && found.inputs() == inputs) return;
    fail_contract(operation, argument, shape_text(found.outputs(), found.inputs()),
                  shape_text(outputs, inputs));
  }
}

}  // namespace longshadow
