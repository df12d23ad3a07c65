#include "engine/cuda/host/cublas_lt.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/half.h"
#include "engine/cuda/host/device_memory.h"

using longshadow::BF16;
using longshadow::Error;
using longshadow::host_cuda::DeviceMemory;
using longshadow::host_cuda::enqueue;
using longshadow::host_cuda::refuse;

struct cublasLtContext {};

namespace {

/// What every algorithm asks for, as some of NVIDIA's do.
constexpr std::size_t kWorkspaceBytes = 4;

std::size_t size_of(cudaDataType type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

/// One matrix of a product: rows and columns as stored, column by column, `leading` apart.
struct Factor {
  const char* name;
  cudaDataType type;
  cublasOperation_t operation;
  std::size_t rows, columns, leading;
  std::size_t alignment;  ///< of its columns, in bytes, on which the algorithm relies

  std::size_t bytes() const {
    return columns == 0 ? 0 : ((columns - 1) * leading + rows) * size_of(type);
  }
  /// Of element (row, column) of the matrix after its operation.
  std::size_t at(std::size_t row, std::size_t column) const {
    return operation == CUBLAS_OP_N ? column * leading + row : row * leading + column;
  }
  void check(const void* memory) const {
    if (reinterpret_cast<std::uintptr_t>(memory) % std::max(size_of(type), alignment) != 0) {
      throw Error(std::string("cuBLASLt: ") + name + " is not aligned as the algorithm needs it");
    }
    if (!DeviceMemory::instance().holds(memory, bytes())) {
      throw Error(std::string("cuBLASLt: ") + name + " [" + std::to_string(rows) + ", " +
                  std::to_string(columns) + "], columns " + std::to_string(leading) +
                  " apart, does not lie in the device's memory");
    }
  }
};

struct Product {
  std::size_t m, n, k;
  std::size_t count;
  bool pointers;
  std::size_t stretches;
  Factor a, b, c;
  double alpha = 1, beta = 0;
  cublasComputeType_t compute;
};

template <class Sum>
Sum value(BF16 element) {
  return static_cast<Sum>(longshadow::to_float(element));
}
template <class Sum, class Element>
Sum value(Element element) {
  return static_cast<Sum>(element);
}

/// The matrix after its operation, column by column.
template <class Element, class Sum>
std::vector<Sum> gathered(const Factor& factor, const void* memory, std::size_t rows,
                          std::size_t columns) {
  const auto* const elements = static_cast<const Element*>(memory);
  std::vector<Sum> matrix(rows * columns);
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t r = 0; r < rows; ++r) {
      matrix[c * rows + r] = value<Sum>(elements[factor.at(r, c)]);
    }
  }
  return matrix;
}

template <class In, class Sum>
void multiply(const Product& it, const void* a, const void* b, void* c) {
  it.a.check(a);
  it.b.check(b);
  it.c.check(c);
  const std::vector<Sum> left = gathered<In, Sum>(it.a, a, it.m, it.k);
  const std::vector<Sum> right = gathered<In, Sum>(it.b, b, it.k, it.n);
  auto* const out = static_cast<Sum*>(c);
  const auto alpha = static_cast<Sum>(it.alpha), beta = static_cast<Sum>(it.beta);
  const std::size_t in_a_stretch = (it.k + it.stretches - 1) / it.stretches;
  std::vector<Sum> stretch(it.m), sums(it.m);
  for (std::size_t column = 0; column < it.n; ++column) {
    sums.assign(it.m, Sum{0});
    for (std::size_t begin = 0; begin < it.k; begin += in_a_stretch) {
      stretch.assign(it.m, Sum{0});
      for (std::size_t i = begin; i < std::min(begin + in_a_stretch, it.k); ++i) {
        const Sum factor = right[column * it.k + i];
        const Sum* const products = left.data() + i * it.m;
        for (std::size_t row = 0; row < it.m; ++row) stretch[row] += products[row] * factor;
      }
      for (std::size_t row = 0; row < it.m; ++row) sums[row] += stretch[row];
    }
    for (std::size_t row = 0; row < it.m; ++row) {
      Sum& to = out[column * it.c.leading + row];
      to = beta == 0 ? alpha * sums[row] : alpha * sums[row] + beta * to;  // 0 hides even NaN
    }
  }
}

void multiply(const Product& it, const void* a, const void* b, void* c) {
  if (it.compute == CUBLAS_COMPUTE_64F) return multiply<double, double>(it, a, b, c);
  if (it.a.type == CUDA_R_16BF) return multiply<BF16, float>(it, a, b, c);
  multiply<float, float>(it, a, b, c);
}

double scalar(const void* value, cublasComputeType_t compute) {
  return compute == CUBLAS_COMPUTE_64F ? *static_cast<const double*>(value)
                                       : static_cast<double>(*static_cast<const float*>(value));
}

bool is_supported(cudaDataType in, cudaDataType out, const cublasLtMatmulDescOpaque_t& product) {
  if (product.scale != out) return false;
  if (product.compute == CUBLAS_COMPUTE_64F) return in == CUDA_R_64F && out == CUDA_R_64F;
  return out == CUDA_R_32F && (in == CUDA_R_32F || in == CUDA_R_16BF);
}

/// The power of two that divides what is between columns, in bytes.
std::size_t alignment_of(const cublasLtMatrixLayoutOpaque_t& layout) {
  const std::size_t bytes = static_cast<std::size_t>(layout.leading) * size_of(layout.type);
  return std::size_t{1} << std::countr_zero(bytes);
}

/// Throws Error for what needs no look at the memory. Without an algorithm anything is aligned.
Product described(const cublasLtMatmulDescOpaque_t& product, const cublasLtMatrixLayoutOpaque_t& a,
                  const cublasLtMatrixLayoutOpaque_t& b, const cublasLtMatrixLayoutOpaque_t& c,
                  const cublasLtMatmulAlgo_t& algorithm) {
  const auto factor = [](const char* name, const cublasLtMatrixLayoutOpaque_t& layout,
                         cublasOperation_t operation, std::uint64_t alignment) {
    if (layout.leading < static_cast<std::int64_t>(layout.rows)) {
      throw Error(std::string("cuBLASLt: columns of ") + name + " are " +
                  std::to_string(layout.leading) + " apart, but have " +
                  std::to_string(layout.rows) + " rows");
    }
    if (layout.columns > 1 && alignment_of(layout) < alignment) {
      throw Error(std::string("cuBLASLt: columns of ") + name +
                  " are not aligned as the algorithm needs them");
    }
    return Factor{name,        layout.type,    operation,
                  layout.rows, layout.columns, static_cast<std::size_t>(layout.leading),
                  alignment};
  };
  const auto after = [](const cublasLtMatrixLayoutOpaque_t& layout, cublasOperation_t operation) {
    return operation == CUBLAS_OP_N ? std::pair(layout.rows, layout.columns)
                                    : std::pair(layout.columns, layout.rows);
  };
  const auto [m, k] = after(a, product.on_a);
  const auto [k_of_b, n] = after(b, product.on_b);
  if (m == 0 || n == 0 || k == 0) throw Error("cuBLASLt: a size is not positive");
  if (k_of_b != k || c.rows != m || c.columns != n) {
    throw Error("cuBLASLt: the matrices' sizes do not agree");
  }
  if (a.type != b.type || !is_supported(a.type, c.type, product)) {
    throw Error("cuBLASLt: there is no product of these types");
  }
  for (const auto* layout : {&b, &c}) {
    if (layout->count != a.count || layout->mode != a.mode || a.count < 1 ||
        (a.count > 1 && a.mode != CUBLASLT_BATCH_MODE_POINTER_ARRAY)) {
      throw Error("cuBLASLt: the batch is not one of pointers to equally many matrices");
    }
  }
  return {.m = m,
          .n = n,
          .k = k,
          .count = static_cast<std::size_t>(a.count),
          .pointers = a.mode == CUBLASLT_BATCH_MODE_POINTER_ARRAY,
          .stretches = algorithm.stretches,
          .a = factor("a", a, product.on_a, algorithm.a_alignment),
          .b = factor("b", b, product.on_b, algorithm.b_alignment),
          .c = factor("c", c, CUBLAS_OP_N, algorithm.c_alignment),
          .compute = product.compute};
}

/// What `call` throws becomes a status, as from a C library.
template <class Call>
cublasStatus_t status_of(const Call& call) {
  try {
    call();
    return CUBLAS_STATUS_SUCCESS;
  } catch (const Error& error) {
    refuse(error.what());
    return CUBLAS_STATUS_INVALID_VALUE;
  }
}

template <class Value>
cublasStatus_t set(Value& attribute, const void* value, std::size_t bytes) {
  if (bytes != sizeof attribute) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&attribute, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return cudaGetErrorString(status == CUBLAS_STATUS_SUCCESS ? cudaSuccess : cudaErrorInvalidValue);
}

std::size_t cublasLtGetVersion() { return 130'100; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t product, cublasComputeType_t compute,
                                      cudaDataType scale) {
  *product = {compute, scale, CUBLAS_OP_N, CUBLAS_OP_N};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  return set(attribute == CUBLASLT_MATMUL_DESC_TRANSA ? product->on_a : product->on_b, value,
             bytes);
}

cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t layout, cudaDataType type,
                                        std::uint64_t rows, std::uint64_t columns,
                                        std::int64_t leading) {
  *layout = {type, rows, columns, leading, 1, CUBLASLT_BATCH_MODE_STRIDED};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t bytes) {
  return attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT ? set(layout->count, value, bytes)
                                                         : set(layout->mode, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t preference) {
  *preference = {256, 256, 256, 256};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return set(preference->a_alignment, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return set(preference->b_alignment, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return set(preference->c_alignment, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(preference->d_alignment, value, bytes);
    default:  // no algorithm here cuts a sum among threads
      return CUBLAS_STATUS_SUCCESS;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* n_results) {
  return status_of([&] {
    const Product asked = described(*product, *a, *b, *c, {1, 1, 1, 1});
    const auto stretches = static_cast<std::uint64_t>(std::bit_width(asked.n * asked.count));
    results[0] = {
        {stretches, preference->a_alignment, preference->b_alignment, preference->c_alignment},
        kWorkspaceBytes,
        CUBLAS_STATUS_SUCCESS};
    *n_results = 1;
  });
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t product,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                       const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
  result->algo = *algorithm;
  result->workspaceSize = kWorkspaceBytes;
  result->state = status_of([&] { described(*product, *a, *b, *c, *algorithm); });
  return result->state;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  return status_of([&] {
    Product it = described(*product, *a_layout, *b_layout, *c_layout, *algorithm);
    it.alpha = scalar(alpha, it.compute);
    it.beta = scalar(beta, it.compute);
    if (c != d) throw Error("cuBLASLt: the result does not replace c");
    if (workspace_bytes < kWorkspaceBytes ||
        !DeviceMemory::instance().holds(workspace, workspace_bytes)) {
      throw Error("cuBLASLt: the workspace does not lie in the device's memory");
    }
    if (!it.pointers) {
      enqueue(stream, [=] { multiply(it, a, b, d); });
      return;
    }
    const auto* const as = static_cast<const void* const*>(a);
    const auto* const bs = static_cast<const void* const*>(b);
    auto* const ds = static_cast<void* const*>(d);
    for (const void* pointers : {a, b, static_cast<const void*>(d)}) {
      if (!DeviceMemory::instance().holds(pointers, it.count * sizeof(void*))) {
        throw Error("cuBLASLt: an array of pointers does not lie in the device's memory");
      }
    }
    enqueue(stream, [=] {
      for (std::size_t i = 0; i < it.count; ++i) multiply(it, as[i], bs[i], ds[i]);
    });
  });
}
