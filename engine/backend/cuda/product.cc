#include "engine/backend/cuda/product.h"

#include <span>

#include "engine/backend/cuda/blas.h"
#include "engine/core/half.h"

namespace longshadow {
namespace {

template <class T>
constexpr cudaDataType kDataType = CUDA_R_32F;
template <>
constexpr cudaDataType kDataType<double> = CUDA_R_64F;
template <>
constexpr cudaDataType kDataType<BF16> = CUDA_R_16BF;

template <class Sum>
constexpr cublasComputeType_t kCompute = sizeof(Sum) == 8 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;

int as_int(std::size_t value) { return static_cast<int>(value); }

// cuBLAS sees a row-major matrix as its transpose, so that it is asked for cᵀ = bᵀ aᵀ.
cublasOperation_t operation_on(RightFactor layout) {
  return layout == RightFactor::by_output ? CUBLAS_OP_T : CUBLAS_OP_N;
}

/// Requires as many matrices in each.
template <class In, class Out>
void require_batches(const char* operation, const MatrixBatch<const In>& a,
                     const MatrixBatch<const In>& b, const MatrixBatch<Out>& c) {
  require_equal(operation, "a.data.size()", a.data.size(), c.data.size());
  require_equal(operation, "b.data.size()", b.data.size(), c.data.size());
}

/// `terms` in each sum.
template <class In, class Out>
void multiply_batch(Cuda& device, std::size_t terms, const MatrixBatch<const In>& a,
                    cublasOperation_t on_a, const MatrixBatch<const In>& b, cublasOperation_t on_b,
                    const MatrixBatch<Out>& c, bool accumulate) {
  const std::size_t count = c.data.size();
  if (count == 0) return;
  std::vector<const void*> pointers(b.data.begin(), b.data.end());
  pointers.insert(pointers.end(), a.data.begin(), a.data.end());
  pointers.insert(pointers.end(), c.data.begin(), c.data.end());
  const DeviceArray<const void*> there(device, std::span<const void* const>(pointers));
  const Out alpha = 1, beta = accumulate ? Out{1} : Out{0};
  check_cublas(
      cublasGemmBatchedEx(device.blas(), on_b, on_a, as_int(c.cols), as_int(c.rows), as_int(terms),
                          &alpha, there.data(), kDataType<In>, as_int(b.stride),
                          there.data() + count, kDataType<In>, as_int(a.stride), &beta,
                          const_cast<void* const*>(there.data() + 2 * count), kDataType<Out>,
                          as_int(c.stride), as_int(count), kCompute<Out>, CUBLAS_GEMM_DEFAULT),
      "cublasGemmBatchedEx");
}

}  // namespace

template <class In, class Out>
void product(Cuda& device, MatrixView<const In> a, MatrixView<const In> b, RightFactor layout,
             MatrixView<Out> c, bool accumulate) {
  require_product("product", a, b, layout, c);
  if (c.rows == 0 || c.cols == 0) return;
  const Out alpha = 1, beta = accumulate ? Out{1} : Out{0};
  check_cublas(
      cublasGemmEx(device.blas(), operation_on(layout), CUBLAS_OP_N, as_int(c.cols), as_int(c.rows),
                   as_int(a.cols), &alpha, b.data, kDataType<In>, as_int(b.stride), a.data,
                   kDataType<In>, as_int(a.stride), &beta, c.data, kDataType<Out>, as_int(c.stride),
                   kCompute<Out>, CUBLAS_GEMM_DEFAULT),
      "cublasGemmEx");
}

template <class In, class Out>
void batched_product(Cuda& device, const MatrixBatch<const In>& a, const MatrixBatch<const In>& b,
                     RightFactor layout, const MatrixBatch<Out>& c, bool accumulate) {
  const bool by_output = layout == RightFactor::by_output;
  require_batches("batched_product", a, b, c);
  require_equal("batched_product", "c.rows", c.rows, a.rows);
  require_equal("batched_product", "b's outputs", by_output ? b.rows : b.cols, c.cols);
  require_equal("batched_product", "b's inputs", by_output ? b.cols : b.rows, a.cols);
  multiply_batch(device, a.cols, a, CUBLAS_OP_N, b, operation_on(layout), c, accumulate);
}

template <class In, class Out>
void batched_transposed_product(Cuda& device, const MatrixBatch<const In>& a,
                                const MatrixBatch<const In>& b, const MatrixBatch<Out>& c,
                                bool accumulate) {
  require_batches("batched_transposed_product", a, b, c);
  require_equal("batched_transposed_product", "b.rows", b.rows, a.rows);
  require_equal("batched_transposed_product", "c.rows", c.rows, a.cols);
  require_equal("batched_transposed_product", "c.cols", c.cols, b.cols);
  multiply_batch(device, a.rows, a, CUBLAS_OP_T, b, CUBLAS_OP_N, c, accumulate);
}

#define LONGSHADOW_INSTANTIATE(In, Out)                                                            \
  template void product(Cuda&, MatrixView<const In>, MatrixView<const In>, RightFactor,            \
                        MatrixView<Out>, bool);                                                    \
  template void batched_product(Cuda&, const MatrixBatch<const In>&, const MatrixBatch<const In>&, \
                                RightFactor, const MatrixBatch<Out>&, bool);                       \
  template void batched_transposed_product(Cuda&, const MatrixBatch<const In>&,                    \
                                           const MatrixBatch<const In>&, const MatrixBatch<Out>&,  \
                                           bool);
LONGSHADOW_INSTANTIATE(float, float)
LONGSHADOW_INSTANTIATE(BF16, float)
LONGSHADOW_INSTANTIATE(double, double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
