#pragma once

#include <span>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// Adds to dx the gradient that rms_norm's result hands back to its input x: with
/// r = 1 / sqrt(mean(x²) + epsilon), dx += r (w dy - x r² mean(x w dy)).
///   x [full rows, D]; w [1, D]; dy, dx [rows, D], read and written at the pairs' rows.
template <class T>
void rms_norm_backward(Cpu& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
                       MatrixView<const T> dy, std::span<const PairedRows> pairs, MatrixView<T> dx);
template <class T>
void rms_norm_backward(Cuda& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
                       MatrixView<const T> dy, std::span<const PairedRows> pairs, MatrixView<T> dx);

template <class T>
void check_rms_norm_backward(MatrixView<const T> x, MatrixView<const T> w, MatrixView<const T> dy,
                             std::span<const PairedRows> pairs, MatrixView<T> dx) {
  constexpr const char* kName = "rms_norm_backward";
  require_shape(kName, "w", w, 1, x.cols);
  require_shape(kName, "dx", dx, dx.rows, x.cols);
  require_shape(kName, "dy", dy, dx.rows, x.cols);
  require_pairs(kName, pairs, x.rows, dx.rows);
}

}  // namespace longshadow
