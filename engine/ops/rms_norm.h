#pragma once

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// y = w x / sqrt(mean(x²) + epsilon) for each row (Zhang and Sennrich 2019, arXiv 1910.07467).
/// x, y [rows, D]; w [1, D].
template <class T>
void rms_norm(Cpu& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
              MatrixView<T> y);
template <class T>
void rms_norm(Cuda& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
              MatrixView<T> y);

template <class T>
void check_rms_norm(MatrixView<const T> x, MatrixView<const T> w, MatrixView<T> y) {
  require_shape("rms_norm", "w", w, 1, x.cols);
  require_shape("rms_norm", "y", y, x.rows, x.cols);
}

}  // namespace longshadow
