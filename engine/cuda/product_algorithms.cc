#include "engine/cuda/product_algorithms.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "engine/core/error.h"

namespace longshadow {
namespace {

/// What NVIDIA advises for a Hopper.
constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

/// Rows and matrices for which the algorithms are chosen that must take any number. On an H200,
/// batches of 8,192 rows in bf16 then take what cuBLASLt's own choice for them takes; more for
/// typical makes prefills in chunks of 512 rows slower, and fewer the batches.
constexpr std::size_t kTypicalRows = 2048;
constexpr std::size_t kTypicalMatrices = 256;

/// Of which such an algorithm must be capable, beside one.
constexpr std::size_t kMany = std::size_t{1} << 14;

cublasOperation_t operation(bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }

cublasLtMatrixLayoutOpaque_t layout(cudaDataType type, std::size_t rows, std::size_t columns,
                                    std::size_t stride, bool batched, std::size_t count) {
  cublasLtMatrixLayoutOpaque_t made;
  check_cublas(
      cublasLtMatrixLayoutInit(&made, type, rows, columns, static_cast<std::int64_t>(stride)),
      "cublasLtMatrixLayoutInit");
  if (batched) {
    const auto mode = static_cast<std::uint32_t>(CUBLASLT_BATCH_MODE_POINTER_ARRAY);
    const auto matrices = static_cast<std::int32_t>(count);
    check_cublas(cublasLtMatrixLayoutSetAttribute(&made, CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, &mode,
                                                  sizeof mode),
                 "cublasLtMatrixLayoutSetAttribute");
    check_cublas(cublasLtMatrixLayoutSetAttribute(&made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                  &matrices, sizeof matrices),
                 "cublasLtMatrixLayoutSetAttribute");
  }
  return made;
}

/// Rows as close together as they can be.
ProductDescription densely(const ProductShape& shape, std::size_t rows, std::size_t count) {
  return {shape,
          rows,
          count,
          {shape.transposed_a ? rows : shape.terms,
           shape.layout == RightFactor::by_output ? shape.terms : shape.outputs, shape.outputs}};
}

template <class Value>
void prefer(cublasLtMatmulPreferenceOpaque_t& preference,
            cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
  check_cublas(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
               "cublasLtMatmulPreferenceSetAttribute");
}

cublasLtMatmulPreferenceOpaque_t preference_for(const ProductShape& shape) {
  cublasLtMatmulPreferenceOpaque_t preference;
  check_cublas(cublasLtMatmulPreferenceInit(&preference), "cublasLtMatmulPreferenceInit");
  prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
  if (shape.rows == kAnyRows || shape.batched) {
    // A sum in pieces, which are added later, may be cut according to what else there is to do.
    prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{0});
    prefer(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE));
  }
  const auto bytes = [](std::size_t alignment) { return static_cast<std::uint32_t>(alignment); };
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, bytes(shape.b_alignment));
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, bytes(shape.a_alignment));
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, bytes(shape.c_alignment));
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, bytes(shape.c_alignment));
  return preference;
}

}  // namespace

ProductDescription::ProductDescription(const ProductShape& shape, std::size_t rows,
                                       std::size_t count, const Strides& strides)
    : a(shape.transposed_a
            ? layout(shape.factors, rows, shape.terms, strides.a, shape.batched, count)
            : layout(shape.factors, shape.terms, rows, strides.a, shape.batched, count)),
      b(shape.layout == RightFactor::by_output
            ? layout(shape.factors, shape.terms, shape.outputs, strides.b, shape.batched, count)
            : layout(shape.factors, shape.outputs, shape.terms, strides.b, shape.batched, count)),
      c(layout(shape.result, shape.outputs, rows, strides.c, shape.batched, count)) {
  // f32 products stay f32 (no TF32), and bf16 products are summed in f32 to the end.
  const bool wide = shape.result == CUDA_R_64F;
  check_cublas(cublasLtMatmulDescInit(&product, wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                      shape.result),
               "cublasLtMatmulDescInit");
  const cublasOperation_t on_b = operation(shape.layout == RightFactor::by_output);
  const cublasOperation_t on_a = operation(shape.transposed_a);
  check_cublas(
      cublasLtMatmulDescSetAttribute(&product, CUBLASLT_MATMUL_DESC_TRANSA, &on_b, sizeof on_b),
      "cublasLtMatmulDescSetAttribute");
  check_cublas(
      cublasLtMatmulDescSetAttribute(&product, CUBLASLT_MATMUL_DESC_TRANSB, &on_a, sizeof on_a),
      "cublasLtMatmulDescSetAttribute");
}

ProductAlgorithms::ProductAlgorithms(Cuda& device) : workspace_(device, kWorkspaceBytes) {
  check_cublas(cublasLtCreate(&handle_), "cublasLtCreate");
}

ProductAlgorithms::~ProductAlgorithms() {
  if (handle_ != nullptr) cublasLtDestroy(handle_);
}

std::string ProductAlgorithms::library() const {
  const std::size_t version = cublasLtGetVersion();
  return "cuBLASLt " + std::to_string(version / 10'000) + "." +
         std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

cublasLtMatmulAlgo_t ProductAlgorithms::find(const ProductShape& shape) {
  const auto found = std::find_if(chosen_.begin(), chosen_.end(),
                                  [&](const auto& chosen) { return chosen.first == shape; });
  if (found != chosen_.end()) return found->second;
  return chosen_.emplace_back(shape, choose(shape)).second;
}

cublasLtMatmulAlgo_t ProductAlgorithms::choose(const ProductShape& shape) const {
  const bool any_rows = shape.rows == kAnyRows;
  const auto described = [&](std::size_t number) {
    return densely(shape, any_rows ? number : shape.rows, shape.batched ? number : 1);
  };
  ProductDescription typical = described(any_rows ? kTypicalRows : kTypicalMatrices);
  cublasLtMatmulPreferenceOpaque_t preference = preference_for(shape);
  std::array<cublasLtMatmulHeuristicResult_t, 8> offered{};
  int n_offered = 0;
  check_cublas(cublasLtMatmulAlgoGetHeuristic(
                   handle_, &typical.product, &typical.b, &typical.a, &typical.c, &typical.c,
                   &preference, static_cast<int>(offered.size()), offered.data(), &n_offered),
               "cublasLtMatmulAlgoGetHeuristic");
  for (const auto& one : std::span(offered).first(static_cast<std::size_t>(n_offered))) {
    const auto takes = [&](std::size_t number) {
      ProductDescription other = described(number);
      cublasLtMatmulHeuristicResult_t checked{};
      return cublasLtMatmulAlgoCheck(handle_, &other.product, &other.b, &other.a, &other.c,
                                     &other.c, &one.algo, &checked) == CUBLAS_STATUS_SUCCESS &&
             checked.workspaceSize <= kWorkspaceBytes;
    };
    if (one.state == CUBLAS_STATUS_SUCCESS && takes(1) && takes(kMany)) return one.algo;
  }
  throw Error("cuBLASLt: found no algorithm for " +
              (any_rows ? "any number of rows" : std::to_string(shape.rows) + " rows") +
              " times [" + std::to_string(shape.terms) + ", " + std::to_string(shape.outputs) +
              "]");
}

}  // namespace longshadow
