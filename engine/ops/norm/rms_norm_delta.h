#pragma once

#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"
#include "engine/ops/common/paired_rows.h"

namespace longshadow {

/// The exact change of rms_norm's result when its input x changes by dx, without subtracting two
/// results: with m = mean(x²) + epsilon and rho = expm1(-log1p(mean(dx (dx + 2 x)) / m) / 2),
/// dy = w (dx (1 + rho) + x rho) / sqrt(m).
///   x [full rows, D]; w [1, D]; dx, dy [rows, D], read and written at the pairs' rows; dy may be
///   dx, and is in the precision P of the product it goes into.
void rms_norm_delta(Device& device, ConstTensorView x, ConstTensorView w, double epsilon,
                    ConstTensorView dx, std::span<const PairedRows> pairs, TensorView dy);

/// rms_norm_delta() on other devices than the processor.
struct RmsNormDeltaKernel : Operation<RmsNormDeltaKernel, ConstTensorView, ConstTensorView, double,
                                      ConstTensorView, std::span<const PairedRows>, TensorView> {};

}  // namespace longshadow
