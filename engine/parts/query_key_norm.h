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

/// RMSNorm over projected queries or keys and the rotation behind it: over each head, all with one
/// weight [1, d] (Qwen3, arXiv 2505.09388), or over the whole projection, with a weight
/// [1, heads d] (OLMo 2, arXiv 2501.00656).
struct ProjectionNorm {
  Norm norm;

  explicit operator bool() const { return static_cast<bool>(norm); }

  /// to = the projected rows [rows, heads d] normalised, into scratch shaped like them, and rotated
  /// by their positions.
  void forward(Device& device, const RotaryTable& rotary, std::span<const std::uint32_t> positions,
               ConstTensorView projected, TensorView scratch, HeadsView to) const {
    for_each_part(projected.cols,
                  [&](auto part) { norm.forward(device, part(projected), part(scratch)); });
    rotate(device, rotary, positions, scratch, to);
  }

  /// to = the change of forward()'s result when the projected rows, of which `projected` has the
  /// tape's, change by `changes` [rows, heads d], which become scratch.
  void delta(Device& device, const RotaryTable& rotary, const DeltaBatch& batch,
             ConstTensorView projected, TensorView changes, HeadsView to) const {
    for_each_part(projected.cols, [&](auto part) {
      norm.delta(device, part(projected), part(changes), batch.tape_rows, part(changes));
    });
    rotate(device, rotary, std::span(batch.positions), changes, to);
  }

  /// to [rows, heads d] = the gradient at the projected rows from that behind norm and rotation,
  /// `gradients` [rows, heads d], which become scratch.
  void backward(Device& device, const RotaryTable& rotary, const GradientBatch& batch,
                ConstTensorView projected, TensorView gradients, TensorView to) const {
    rotate_rows(device, rotary, Turn::back, std::span(batch.positions), gradients, gradients);
    fill_rows(device, 0, to);
    for_each_part(projected.cols, [&](auto part) {
      norm.backward(device, part(projected), part(gradients), batch.tape_rows, part(to));
    });
  }

 private:
  /// Calls body(part) for each group of columns that is normalised together; part(x) are x's.
  template <class Body>
  void for_each_part(std::size_t cols, const Body& body) const {
    const std::size_t width = norm.weight.cols();
    for (std::size_t first = 0; first < cols; first += width) {
      body([=](auto x) { return x.column_range(first, width); });
    }
  }

  static void rotate(Device& device, const RotaryTable& rotary,
                     std::span<const std::uint32_t> positions, ConstTensorView rows, HeadsView to) {
    for (std::size_t head = 0; head < to.n_heads; ++head) {
      rotate_rows(device, rotary, Turn::forward, positions,
                  rows.column_range(head * to.head_dim, to.head_dim),
                  to.head(head).row_range(0, rows.rows));
    }
  }
};

}  // namespace longshadow
