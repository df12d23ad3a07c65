#pragma once

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// Adds bias [1, cols] to every row of x [rows, cols]; an empty bias [0, 0] changes nothing.
template <class T>
void add_bias(Cpu& device, MatrixView<const T> bias, MatrixView<T> x);
template <class T>
void add_bias(Cuda& device, MatrixView<const T> bias, MatrixView<T> x);

template <class T>
void check_add_bias(MatrixView<const T> bias, MatrixView<T> x) {
  if (bias.rows != 0) require_shape("add_bias", "bias", bias, 1, x.cols);
}

}  // namespace longshadow
