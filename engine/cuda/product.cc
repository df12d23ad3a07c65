#include "engine/cuda/product.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

#include "engine/core/half.h"
#include "engine/cuda/product_algorithms.h"

namespace longshadow {
namespace {

template <class T>
constexpr cudaDataType kDataType = CUDA_R_32F;
template <>
constexpr cudaDataType kDataType<double> = CUDA_R_64F;
template <>
constexpr cudaDataType kDataType<BF16> = CUDA_R_16BF;

/// More than this many bytes help no algorithm.
constexpr std::size_t kEnoughAlignment = 256;

/// Bytes that divide the addresses of a matrix' rows and of its neighbours, where it is a part of a
/// wider one; by its shape, unless it begins at an odd place.
template <class T>
std::size_t alignment_of(const MatrixView<T>& matrix) {
  const std::size_t divided = kEnoughAlignment | (matrix.cols | matrix.stride) * sizeof(T) |
                              reinterpret_cast<std::uintptr_t>(matrix.data);
  return std::size_t{1} << std::countr_zero(divided);
}
template <class T>
std::size_t alignment_of(const MatrixBatch<T>& batch) {
  std::size_t least = kEnoughAlignment;
  for (T* const matrix : batch.data) {
    const MatrixView<T> view{matrix, batch.rows, batch.cols, batch.stride};
    least = std::min(least, alignment_of(view));
  }
  return least;
}

/// Requires as many matrices in each.
template <class In, class Out>
void require_batches(const char* operation, const MatrixBatch<const In>& a,
                     const MatrixBatch<const In>& b, const MatrixBatch<Out>& c) {
  require_equal(operation, "a.data.size()", a.data.size(), c.data.size());
  require_equal(operation, "b.data.size()", b.data.size(), c.data.size());
}

/// Runs a product of matrices or of arrays of pointers to them, in the device's memory.
template <class Out>
void run(Cuda& device, const ProductShape& shape, ProductDescription description, const void* a,
         const void* b, void* c, bool accumulate) {
  ProductAlgorithms& algorithms = device.product_algorithms();
  const cublasLtMatmulAlgo_t algorithm = algorithms.find(shape);
  const Out alpha = 1, beta = accumulate ? Out{1} : Out{0};
  check_cublas(
      cublasLtMatmul(algorithms.handle(), &description.product, &alpha, b, &description.b, a,
                     &description.a, &beta, c, &description.c, c, &description.c, &algorithm,
                     algorithms.workspace().data(), algorithms.workspace().size(), device.stream()),
      "cublasLtMatmul");
}

/// `rows` is what the algorithm may depend on.
template <class In, class Out>
void multiply(Cuda& device, std::size_t rows, MatrixView<const In> a, MatrixView<const In> b,
              RightFactor layout, MatrixView<Out> c, bool accumulate) {
  if (c.rows == 0 || c.cols == 0) return;
  const ProductShape shape{.factors = kDataType<In>,
                           .result = kDataType<Out>,
                           .transposed_a = false,
                           .layout = layout,
                           .rows = rows,
                           .outputs = c.cols,
                           .terms = a.cols,
                           .batched = false,
                           .a_alignment = alignment_of(a),
                           .b_alignment = alignment_of(b),
                           .c_alignment = alignment_of(c)};
  run<Out>(device, shape, {shape, c.rows, 1, {a.stride, b.stride, c.stride}}, a.data, b.data,
           c.data, accumulate);
}

template <class In, class Out>
void multiply_batch(Cuda& device, const MatrixBatch<const In>& a, bool transposed_a,
                    const MatrixBatch<const In>& b, RightFactor layout, const MatrixBatch<Out>& c,
                    bool accumulate) {
  const std::size_t count = c.data.size();
  if (count == 0) return;
  std::vector<const void*> pointers(b.data.begin(), b.data.end());
  pointers.insert(pointers.end(), a.data.begin(), a.data.end());
  pointers.insert(pointers.end(), c.data.begin(), c.data.end());
  const DeviceArray<const void*> there(device, std::span<const void* const>(pointers));
  const ProductShape shape{.factors = kDataType<In>,
                           .result = kDataType<Out>,
                           .transposed_a = transposed_a,
                           .layout = layout,
                           .rows = c.rows,
                           .outputs = c.cols,
                           .terms = transposed_a ? a.rows : a.cols,
                           .batched = true,
                           .a_alignment = alignment_of(a),
                           .b_alignment = alignment_of(b),
                           .c_alignment = alignment_of(c)};
  run<Out>(device, shape, {shape, c.rows, count, {a.stride, b.stride, c.stride}},
           there.data() + count, there.data(), there.data() + 2 * count, accumulate);
}

}  // namespace

template <class In, class Out>
void product(Cuda& device, MatrixView<const In> a, MatrixView<const In> b, RightFactor layout,
             MatrixView<Out> c, bool accumulate) {
  require_product("product", a, b, layout, c);
  multiply(device, kAnyRows, a, b, layout, c, accumulate);
}

template <class In, class Out>
void product_of_fixed_rows(Cuda& device, MatrixView<const In> a, MatrixView<const In> b,
                           RightFactor layout, MatrixView<Out> c, bool accumulate) {
  require_product("product_of_fixed_rows", a, b, layout, c);
  multiply(device, c.rows, a, b, layout, c, accumulate);
}

template <class In, class Out>
void batched_product(Cuda& device, const MatrixBatch<const In>& a, const MatrixBatch<const In>& b,
                     RightFactor layout, const MatrixBatch<Out>& c, bool accumulate) {
  const bool by_output = layout == RightFactor::by_output;
  require_batches("batched_product", a, b, c);
  require_equal("batched_product", "c.rows", c.rows, a.rows);
  require_equal("batched_product", "b's outputs", by_output ? b.rows : b.cols, c.cols);
  require_equal("batched_product", "b's inputs", by_output ? b.cols : b.rows, a.cols);
  multiply_batch(device, a, false, b, layout, c, accumulate);
}

template <class In, class Out>
void batched_transposed_product(Cuda& device, const MatrixBatch<const In>& a,
                                const MatrixBatch<const In>& b, const MatrixBatch<Out>& c,
                                bool accumulate) {
  require_batches("batched_transposed_product", a, b, c);
  require_equal("batched_transposed_product", "b.rows", b.rows, a.rows);
  require_equal("batched_transposed_product", "c.rows", c.rows, a.cols);
  require_equal("batched_transposed_product", "c.cols", c.cols, b.cols);
  multiply_batch(device, a, true, b, RightFactor::by_input, c, accumulate);
}

#define LONGSHADOW_INSTANTIATE(In, Out)                                                            \
  template void product(Cuda&, MatrixView<const In>, MatrixView<const In>, RightFactor,            \
                        MatrixView<Out>, bool);                                                    \
  template void product_of_fixed_rows(Cuda&, MatrixView<const In>, MatrixView<const In>,           \
                                      RightFactor, MatrixView<Out>, bool);                         \
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
