#pragma once

#include <span>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The exact change of rms_norm's result when its input x changes by dx, without subtracting two
/// results: with m = mean(x²) + epsilon and rho = expm1(-log1p(mean(dx (dx + 2 x)) / m) / 2),
/// dy = w (dx (1 + rho) + x rho) / sqrt(m).
///   x [full rows, D]; w [1, D]; dx, dy [rows, D], read and written at the pairs' rows; dy in the
///   precision P of the product it goes into.
template <class T, class P>
void rms_norm_delta(Cpu& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
                    MatrixView<const T> dx, std::span<const PairedRows> pairs, MatrixView<P> dy);
template <class T, class P>
void rms_norm_delta(Cuda& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
                    MatrixView<const T> dx, std::span<const PairedRows> pairs, MatrixView<P> dy);

template <class T, class P>
void check_rms_norm_delta(MatrixView<const T> x, MatrixView<const T> w, MatrixView<const T> dx,
                          std::span<const PairedRows> pairs, MatrixView<P> dy) {
  constexpr const char* kName = "rms_norm_delta";
  require_shape(kName, "w", w, 1, x.cols);
  require_shape(kName, "dx", dx, dx.rows, x.cols);
  require_shape(kName, "dy", dy, dx.rows, x.cols);
  require_pairs(kName, pairs, x.rows, dx.rows);
}

}  // namespace longshadow
