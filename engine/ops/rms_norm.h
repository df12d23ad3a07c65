#pragma once

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"

namespace longshadow {

/// y = w x / sqrt(mean(x²) + epsilon) for each row (Zhang and Sennrich 2019, arXiv 1910.07467).
/// x, y [rows, D]; w [1, D].
template <class Device, class T>
void rms_norm(Device& device, MatrixView<const T> x, MatrixView<const T> w, double epsilon,
              MatrixView<T> y);

}  // namespace longshadow
