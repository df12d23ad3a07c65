#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/core/matrix.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/projection/heads.h"
#include "engine/ops/projection/rotary.h"
#include "engine/parts/norm.h"
#include "engine/parts/row_batch.h"

namespace longshadow {

/// The rows of one head in a matrix [rows, heads d] of heads side by side.
template <class T>
MatrixView<T> head_columns(MatrixView<T> x, std::size_t head, std::size_t head_dim) {
  return x.column_range(head * head_dim, head_dim);
}

/// RMSNorm over each head of projected queries or keys, all with one weight [1, d], and the
/// rotation behind it (Qwen3, arXiv 2505.09388).
template <class T>
struct HeadNorm {
  Norm<T> norm;

  explicit operator bool() const { return static_cast<bool>(norm); }

  /// to = the projected rows normalised and rotated by their positions.
  template <class Device>
  void forward(Device& device, const RotaryTable<T>& rotary,
               std::span<const std::uint32_t> positions, HeadRows<const T> projected,
               HeadRows<T> to) const {
    for (std::size_t head = 0; head < to.n_heads; ++head) {
      const MatrixView<T> rows = to.head(head).row_range(0, positions.size());
      norm.forward(device, projected.head(head).row_range(0, positions.size()), rows);
      rotate_rows(device, rotary, Turn::forward, positions, MatrixView<const T>(rows), rows);
    }
  }

  /// to = the change of forward()'s result when the projected rows, of which `projected` has the
  /// tape's, change by `changes`, which become scratch.
  template <class Device, class P>
  void delta(Device& device, const RotaryTable<T>& rotary, const DeltaBatch& batch,
             HeadRows<const T> projected, HeadRows<T> changes, HeadRows<P> to) const {
    for (std::size_t head = 0; head < to.n_heads; ++head) {
      const MatrixView<T> change = changes.head(head).row_range(0, batch.padded_rows());
      norm.delta(device, projected.head(head), MatrixView<const T>(change), batch.tape_rows,
                 change);
      rotate_rows(device, rotary, Turn::forward, std::span(batch.positions),
                  MatrixView<const T>(change), to.head(head).row_range(0, batch.padded_rows()));
    }
  }

  /// to [rows, heads d] = the gradient at the projected rows from that behind norm and rotation,
  /// `gradients` [rows, heads d], which become scratch.
  template <class Device>
  void backward(Device& device, const RotaryTable<T>& rotary, const GradientBatch& batch,
                HeadRows<const T> projected, MatrixView<T> gradients, MatrixView<T> to) const {
    rotate_rows(device, rotary, Turn::back, std::span(batch.positions),
                MatrixView<const T>(gradients), gradients);
    fill_rows(device, T{0}, to);
    for (std::size_t head = 0; head < projected.n_heads; ++head) {
      norm.backward(device, projected.head(head),
                    MatrixView<const T>(head_columns(gradients, head, projected.head_dim)),
                    batch.tape_rows, head_columns(to, head, projected.head_dim));
    }
  }
};

}  // namespace longshadow
