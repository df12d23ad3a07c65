#pragma once

#include <span>

#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"
#include "engine/ops/norm/rms_norm.h"
#include "engine/ops/norm/rms_norm_backward.h"
#include "engine/ops/norm/rms_norm_delta.h"

namespace longshadow {

/// RMSNorm with a weight for each column (Zhang and Sennrich 2019, arXiv 1910.07467). Absent where
/// the weight is empty.
struct Norm {
  Tensor weight;  ///< [1, D]
  double epsilon;

  explicit operator bool() const { return weight.rows() != 0; }

  /// x, y [rows, D].
  void forward(Device& device, ConstTensorView x, TensorView y) const {
    rms_norm(device, x, weight.view(), epsilon, y);
  }

  /// dy: the change of the result when x, rows of the tape, changes by dx at the pairs' rows.
  void delta(Device& device, ConstTensorView x, ConstTensorView dx,
             std::span<const PairedRows> pairs, TensorView dy) const {
    rms_norm_delta(device, x, weight.view(), epsilon, dx, pairs, dy);
  }

  /// dx += what the result's gradient dy hands back to x, rows of the tape.
  void backward(Device& device, ConstTensorView x, ConstTensorView dy,
                std::span<const PairedRows> pairs, TensorView dx) const {
    rms_norm_backward(device, x, weight.view(), epsilon, dy, pairs, dx);
  }
};

}  // namespace longshadow
