#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/tile_product.h"
#include "engine/core/matrix.h"

namespace longshadow {

/// c [m, n] = a [m, k] times b, or c += where `accumulate`, by cuBLAS: f32, f64, or bf16 with f32
/// sums; f32 without TF32. Rows may lie apart. All in the device's memory.
template <class In, class Out>
void product(Cuda& device, MatrixView<const In> a, MatrixView<const In> b, RightFactor layout,
             MatrixView<Out> c, bool accumulate);

/// Matrices of one shape: `data` holds a pointer to each, itself in the device's memory.
template <class T>
struct MatrixBatch {
  T* const* data;
  std::size_t rows;
  std::size_t cols;
  std::size_t stride;
};

/// The pointers of a batch, for the time of its products.
template <class T>
class PointersOnDevice {
 public:
  PointersOnDevice(Cuda& device, const std::vector<T*>& pointers)
      : there_(device, std::span<T* const>(pointers)) {}

  /// Dense matrices [rows, cols].
  MatrixBatch<T> matrices(std::size_t rows, std::size_t cols) const {
    return matrices(rows, cols, cols);
  }
  MatrixBatch<T> matrices(std::size_t rows, std::size_t cols, std::size_t stride) const {
    return {there_.data(), rows, cols, stride};
  }
  MatrixBatch<const T> const_matrices(std::size_t rows, std::size_t cols) const {
    return {there_.data(), rows, cols, cols};
  }

 private:
  DeviceArray<T*> there_;
};

/// The same for `count` matrices at once.
template <class In, class Out>
void batched_product(Cuda& device, std::size_t count, MatrixBatch<const In> a,
                     MatrixBatch<const In> b, RightFactor layout, MatrixBatch<Out> c,
                     bool accumulate);

/// c [m, n] = aᵀ b, or c += where `accumulate`, for a [k, m] and b [k, n].
template <class In, class Out>
void batched_transposed_product(Cuda& device, std::size_t count, MatrixBatch<const In> a,
                                MatrixBatch<const In> b, MatrixBatch<Out> c, bool accumulate);

}  // namespace longshadow
