#pragma once

#include "engine/core/half.h"
#include "engine/core/matrix.h"

namespace longshadow {

/// to = from in the element type of a product: rounded to bf16, or copied. Both [rows, cols]; on
/// the calling thread.
void round_rows(MatrixView<const float> from, MatrixView<BF16> to);
void round_rows(MatrixView<const float> from, MatrixView<float> to);
void round_rows(MatrixView<const double> from, MatrixView<double> to);

}  // namespace longshadow
