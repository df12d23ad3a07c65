#pragma once

#include <span>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// Adds to dx the gradient that rms_norm's result hands back to its input x: with
/// r = 1 / sqrt(mean(x²) + epsilon), dx += r (w dy - x r² mean(x w dy)).
///   x [full rows, D]; w [1, D]; dy, dx [rows, D], read and written at the pairs' rows.
template <class Device, class T>
void rms_norm_backward(Device& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
                       MatrixView<const T> dy, std::span<const PairedRows> pairs, MatrixView<T> dx);

}  // namespace longshadow
