#pragma once

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"

namespace longshadow {

class Cuda;

/// Every row of x [rows, cols] += bias [1, cols]; an empty bias [0, 0] changes nothing.
template <class T>
void add_bias(Cpu& device, MatrixView<const T> bias, MatrixView<T> x);
template <class T>
void add_bias(Cuda& device, MatrixView<const T> bias, MatrixView<T> x);

}  // namespace longshadow
