#pragma once

#include "engine/core/half.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// How the right-hand factor lies in memory.
enum class RightFactor {
  by_output,  ///< b is [n, k]: c = a bᵀ, the layout of weights and of keys
  by_input,   ///< b is [k, n]: c = a b, the layout of values
};

/// Requires the shapes of a product c [m, n] = a [m, k] times b.
template <class In, class Out>
void require_product(const char* operation, MatrixView<const In> a, MatrixView<const In> b,
                     RightFactor layout, MatrixView<Out> c) {
  const bool by_output = layout == RightFactor::by_output;
  require_shape(operation, "b", b, by_output ? c.cols : a.cols, by_output ? a.cols : c.cols);
  require_shape(operation, "c", c, a.rows, c.cols);
}

/// c [m, n] = a [m, k] times b, or c += where `accumulate`; all three dense (stride equal to cols),
/// which is what oneDNN 2.6 has fast code for. Runs on the calling thread alone, and
/// the sums' order depends on the shapes alone. f32 and bf16 products (f32 sums) are oneDNN's, f64
/// products Eigen's. Each new shape costs a code generation of some 0.1-1 ms per thread: callers
/// keep to few shapes. Throws Error where oneDNN refuses the shape.
template <class In, class Out>
void tile_product(MatrixView<const In> a, MatrixView<const In> b, RightFactor layout,
                  MatrixView<Out> c, bool accumulate);

template <class In, class Out>
void check_tile_product(MatrixView<const In> a, MatrixView<const In> b, RightFactor layout,
                        MatrixView<Out> c) {
  require_product("tile_product", a, b, layout, c);
  require_dense("tile_product", "a", a);
  require_dense("tile_product", "b", b);
  require_dense("tile_product", "c", c);
}

/// Whether this processor multiplies bf16 natively, which alone makes bf16 products faster than
/// f32's.
bool has_bf16_products();

/// Whether this processor multiplies bytes natively (VNNI), which alone makes PackedWeights of them
/// fast, and exact: without it oneDNN's sums of two products may saturate.
bool has_byte_products();

}  // namespace longshadow
