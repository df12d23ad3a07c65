#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend/tile_product.h"
#include "engine/cuda/blas.h"
#include "engine/cuda/cuda.h"

namespace longshadow {

/// What the algorithm of a product c [rows, outputs] = a b, or of a batch of them, is chosen by.
struct ProductShape {
  cudaDataType factors;
  cudaDataType result;
  bool transposed_a;  ///< a is [terms, rows], else [rows, terms]
  RightFactor layout;
  std::size_t rows;  ///< kAnyRows: as many as come
  std::size_t outputs;
  std::size_t terms;
  bool batched;  ///< as many matrices as come
  /// Bytes that divide the addresses of all rows of a matrix.
  std::size_t a_alignment, b_alignment, c_alignment;

  friend bool operator==(const ProductShape&, const ProductShape&) = default;
};

inline constexpr std::size_t kAnyRows = 0;

/// cuBLASLt's descriptions of a product. It sees matrices column by column, a row-major one as its
/// transpose, so that it is asked for cᵀ = bᵀ aᵀ: its first factor is b.
struct ProductDescription {
  struct Strides {
    std::size_t a, b, c;  ///< elements from row to row
  };

  /// Describes a product of `count` matrices, in arrays of pointers where the shape is a batch's.
  ProductDescription(const ProductShape& shape, std::size_t rows, std::size_t count,
                     const Strides& strides);

  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t a, b, c;
};

/// The algorithms of a device's products. Which one cuBLASLt takes, and with it the order of the
/// sums, depends on the number of rows or matrices if it is left to itself; here it is chosen once
/// for a shape. So a row's bits are its own, whatever rows or matrices come with it.
class ProductAlgorithms {
 public:
  explicit ProductAlgorithms(Cuda& device);
  ~ProductAlgorithms();
  ProductAlgorithms(const ProductAlgorithms&) = delete;
  ProductAlgorithms& operator=(const ProductAlgorithms&) = delete;

  /// The algorithm of a product with as many rows, or a batch of as many matrices, as the shape
  /// leaves open. Throws Error where cuBLASLt has none.
  cublasLtMatmulAlgo_t find(const ProductShape& shape);

  cublasLtHandle_t handle() const { return handle_; }
  const DeviceArray<std::byte>& workspace() const { return workspace_; }
  /// "cuBLASLt 13.1.0"
  std::string library() const;

 private:
  cublasLtMatmulAlgo_t choose(const ProductShape& shape) const;

  cublasLtHandle_t handle_ = nullptr;
  DeviceArray<std::byte> workspace_;
  std::vector<std::pair<ProductShape, cublasLtMatmulAlgo_t>> chosen_;  ///< some dozens
};

}  // namespace longshadow
