#pragma once

#include "engine/backend/tile_product.h"

namespace longshadow {

/// c = a b or a bᵀ in f64, compiled for the processor's baseline, AVX2 and AVX-512.
void f64_product_baseline(MatrixView<const double> a, MatrixView<const double> b,
                          RightFactor layout, MatrixView<double> c, bool accumulate);
void f64_product_avx2(MatrixView<const double> a, MatrixView<const double> b, RightFactor layout,
                      MatrixView<double> c, bool accumulate);
void f64_product_avx512(MatrixView<const double> a, MatrixView<const double> b, RightFactor layout,
                        MatrixView<double> c, bool accumulate);

}  // namespace longshadow
