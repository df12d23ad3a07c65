#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/core/tensor.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/projection/heads.h"
#include "engine/ops/projection/rotary.h"
#include "engine/parts/norm.h"
#include "engine/parts/row_batch.h"

namespace longshadow {

/// The rows of one head in a matrix [rows, heads d] of heads side by side.
inline TensorView head_columns(TensorView x, std::size_t head, std::size_t head_dim) {
  return x.column_range(head * head_dim, head_dim);
}

/// RMSNorm over each head of projected queries or keys, all with one weight [1, d], and the
/// rotation behind it (Qwen3, arXiv 2505.09388).
struct HeadNorm {
  Norm norm;

  explicit operator bool() const { return static_cast<bool>(norm); }

  /// to = the projected rows normalised and rotated by their positions.
  void forward(Device& device, const RotaryTable& rotary, std::span<const std::uint32_t> positions,
               ConstHeadsView projected, HeadsView to) const {
    for (std::size_t head = 0; head < to.n_heads; ++head) {
      const TensorView rows = to.head(head).row_range(0, positions.size());
      norm.forward(device, projected.head(head).row_range(0, positions.size()), rows);
      rotate_rows(device, rotary, Turn::forward, positions, rows, rows);
    }
  }

  /// to = the change of forward()'s result when the projected rows, of which `projected` has the
  /// tape's, change by `changes`, which become scratch.
  void delta(Device& device, const RotaryTable& rotary, const DeltaBatch& batch,
             ConstHeadsView projected, HeadsView changes, HeadsView to) const {
    for (std::size_t head = 0; head < to.n_heads; ++head) {
      const TensorView change = changes.head(head).row_range(0, batch.padded_rows());
      norm.delta(device, projected.head(head), change, batch.tape_rows, change);
      rotate_rows(device, rotary, Turn::forward, std::span(batch.positions), change,
                  to.head(head).row_range(0, batch.padded_rows()));
    }
  }

  /// to [rows, heads d] = the gradient at the projected rows from that behind norm and rotation,
  /// `gradients` [rows, heads d], which become scratch.
  void backward(Device& device, const RotaryTable& rotary, const GradientBatch& batch,
                ConstHeadsView projected, TensorView gradients, TensorView to) const {
    rotate_rows(device, rotary, Turn::back, std::span(batch.positions), gradients, gradients);
    fill_rows(device, 0, to);
    for (std::size_t head = 0; head < projected.n_heads; ++head) {
      norm.backward(device, projected.head(head), head_columns(gradients, head, projected.head_dim),
                    batch.tape_rows, head_columns(to, head, projected.head_dim));
    }
  }
};

}  // namespace longshadow
