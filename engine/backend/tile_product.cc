#include "engine/backend/tile_product.h"

#include "engine/backend/tile_product_f64.h"

namespace longshadow {
namespace {

using F64Product = decltype(&f64_product_baseline);

F64Product best_f64_product() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("x86-64-v4")) return f64_product_avx512;
  if (__builtin_cpu_supports("x86-64-v3")) return f64_product_avx2;
#endif
  return f64_product_baseline;
}

}  // namespace

template <>
void tile_product(MatrixView<const double> a, MatrixView<const double> b, RightFactor layout,
                  MatrixView<double> c, bool accumulate) {
  check_tile_product(a, b, layout, c);
  static const F64Product product = best_f64_product();
  product(a, b, layout, c, accumulate);
}

}  // namespace longshadow
