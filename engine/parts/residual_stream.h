#pragma once

#include <cstddef>
#include <span>

#include "engine/backend/device.h"
#include "engine/backend/packed_weights.h"
#include "engine/config/config.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/common/rows.h"
#include "engine/ops/projection/add_bias.h"
#include "engine/ops/projection/linear.h"
#include "engine/parts/norm.h"

namespace longshadow {

/// [rows, D] for the residual stream that a part's norm reads; [0, 0] where none lies before it.
inline Tensor make_part_residual(Device& device, const ModelConfig& config, Element element,
                                 std::size_t rows) {
  if (!config.norms_before) return {};
  return Tensor(device.memory(), element, rows, config.hidden_size);
}

/// [rows, D] for what a norm behind a part reads; [0, 0] where the model has none.
inline Tensor make_part_output(Device& device, const ModelConfig& config, Element element,
                               std::size_t rows) {
  if (!config.norms_behind) return {};
  return Tensor(device.memory(), element, rows, config.hidden_size);
}

/// Elements a row that a part's tape keeps of the residual stream and before a norm behind it.
inline std::size_t residual_stream_tape(const ModelConfig& config) {
  return (config.norms_before ? config.hidden_size : 0) +
         (config.norms_behind ? config.hidden_size : 0);
}

/// The input of a part, read from the residual stream x: norm(x), or x itself where the norm is
/// absent. All matrices are [rows, D].
struct PartInput {
  Norm norm;

  void forward(Device& device, ConstTensorView x, TensorView input) const {
    if (norm) {
      norm.forward(device, x, input);
    } else {
      copy_rows(device, x, input);
    }
  }

  /// The input's change when x, rows of the tape, changes by dx, in the products' type P: in
  /// `scratch`, or dx itself.
  ConstTensorView delta(Device& device, ConstTensorView x, ConstTensorView dx,
                        std::span<const PairedRows> pairs, TensorView scratch) const {
    if (!norm) return rounded_rows(device, dx, scratch);
    norm.delta(device, x, dx, pairs, scratch);
    return scratch;
  }

  /// dx += what the input's gradient hands back to x, rows of the tape.
  void backward(Device& device, ConstTensorView x, ConstTensorView dinput,
                std::span<const PairedRows> pairs, TensorView dx) const {
    if (norm) {
      norm.backward(device, x, dinput, pairs, dx);
    } else {
      add_rows(device, dinput, dx);
    }
  }
};

/// A part's last product and how it joins the residual stream x: x += W y + b, or, where a norm
/// lies behind the part (OLMo 2, arXiv 2501.00656; Gemma 2, arXiv 2408.00118), x += norm(W y + b).
/// Matrices [rows, D] but y; `output` has W y + b before that norm and, like the scratch, may be
/// empty where the model has none.
struct PartOutput {
  Tensor bias;  ///< [1, D] or empty
  Norm norm;

  void forward(Device& device, ConstTensorView y, const PackedWeights& matrix, TensorView output,
               TensorView scratch, TensorView x) const {
    if (!norm) {
      linear(device, y, matrix, x, Write::add);
      add_bias(device, bias.view(), x);
      return;
    }
    linear(device, y, matrix, output);
    add_bias(device, bias.view(), output);
    norm.forward(device, output, scratch);
    add_rows(device, scratch, x);
  }

  /// dx += the change behind the norm when y changes by dy; `output` has the tape's rows.
  void delta(Device& device, ConstTensorView dy, const PackedWeights& matrix,
             ConstTensorView output, std::span<const PairedRows> pairs, TensorView scratch,
             TensorView dx) const {
    if (!norm) {
      linear(device, dy, matrix, dx, Write::add);
      return;
    }
    linear(device, dy, matrix, scratch);
    norm.delta(device, output, scratch, pairs, scratch);
    add_rows(device, scratch, dx);
  }

  /// The gradient at W y + b from that of x, dx, in the products' type: in `rounded`, or, where
  /// that has dx's type, dx or scratch itself. `output` has the tape's rows.
  ConstTensorView backward(Device& device, ConstTensorView output, ConstTensorView dx,
                           std::span<const PairedRows> pairs, TensorView scratch,
                           TensorView rounded) const {
    if (!norm) return rounded_rows(device, dx, rounded);
    fill_rows(device, 0, scratch);
    norm.backward(device, output, dx, pairs, scratch);
    return rounded_rows(device, scratch, rounded);
  }
};

}  // namespace longshadow
