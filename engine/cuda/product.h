#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/backend/tile_product.h"
#include "engine/core/matrix.h"
#include "engine/cuda/cuda.h"

namespace longshadow {

/// c [m, n] = a [m, k] times b, or c += where `accumulate`, by cuBLASLt: f32, f64, or bf16 with f32
/// sums; f32 without TF32. Rows may lie apart. All in the device's memory. A row of c has the same
/// bits for any m, and wherever it is among the rows.
template <class In, class Out>
void product(Cuda& device, MatrixView<const In> a, MatrixView<const In> b, RightFactor layout,
             MatrixView<Out> c, bool accumulate);

/// A product by the algorithm that is best for m rows, which gives them other bits: where m is the
/// same whatever else is computed, and too small for product()'s.
template <class In, class Out>
void product_of_fixed_rows(Cuda& device, MatrixView<const In> a, MatrixView<const In> b,
                           RightFactor layout, MatrixView<Out> c, bool accumulate);

/// Matrices of one shape in the device's memory. The pointers to them are the host's; a product
/// brings those of all its matrices to the device at once.
template <class T>
struct MatrixBatch {
  std::vector<T*> data;
  std::size_t rows;
  std::size_t cols;
  std::size_t stride;

  /// Dense matrices, unless their rows lie `apart`.
  MatrixBatch(std::vector<T*> matrices, std::size_t n_rows, std::size_t n_cols,
              std::size_t apart = 0)
      : data(std::move(matrices)),
        rows(n_rows),
        cols(n_cols),
        stride(apart != 0 ? apart : n_cols) {}
  operator MatrixBatch<const T>() const requires(!std::is_const_v<T>) {
    return {{data.begin(), data.end()}, rows, cols, stride};
  }
};

/// product() for as many matrices as each of the batches has: each result has the same bits in any
/// batch, for its own m.
template <class In, class Out>
void batched_product(Cuda& device, const MatrixBatch<const In>& a, const MatrixBatch<const In>& b,
                     RightFactor layout, const MatrixBatch<Out>& c, bool accumulate);

/// c [m, n] = aᵀ b, or c += where `accumulate`, for a [k, m] and b [k, n].
template <class In, class Out>
void batched_transposed_product(Cuda& device, const MatrixBatch<const In>& a,
                                const MatrixBatch<const In>& b, const MatrixBatch<Out>& c,
                                bool accumulate);

}  // namespace longshadow
