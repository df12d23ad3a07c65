#include "engine/backend/cuda/host/cublas.h"

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/backend/cuda/host/device_memory.h"
#include "engine/core/error.h"
#include "engine/core/half.h"

using longshadow::BF16;
using longshadow::Error;
using longshadow::host_cuda::DeviceMemory;
using longshadow::host_cuda::enqueue;
using longshadow::host_cuda::refuse;

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace {

std::size_t size_of(cudaDataType type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

/// One matrix of a product: rows and columns as stored, column by column, `leading` apart.
struct Factor {
  const char* name;
  cudaDataType type;
  cublasOperation_t operation;
  std::size_t rows, columns, leading;

  std::size_t bytes() const {
    return columns == 0 ? 0 : ((columns - 1) * leading + rows) * size_of(type);
  }
  /// Of element (row, column) of the matrix after its operation.
  std::size_t at(std::size_t row, std::size_t column) const {
    return operation == CUBLAS_OP_N ? column * leading + row : row * leading + column;
  }
  void check(const void* memory) const {
    if (reinterpret_cast<std::uintptr_t>(memory) % size_of(type) != 0) {
      throw Error(std::string("cuBLAS: ") + name + " is not aligned to its elements");
    }
    if (!DeviceMemory::instance().holds(memory, bytes())) {
      throw Error(std::string("cuBLAS: ") + name + " [" + std::to_string(rows) + ", " +
                  std::to_string(columns) + "], columns " + std::to_string(leading) +
                  " apart, does not lie in the device's memory");
    }
  }
};

struct Product {
  std::size_t m, n, k;
  Factor a, b, c;
  double alpha, beta;
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

/// The matrix after its operation, row by row where `by_row`, else column by column.
template <class Element, class Sum>
std::vector<Sum> gathered(const Factor& factor, const void* memory, std::size_t rows,
                          std::size_t columns, bool by_row) {
  const auto* const elements = static_cast<const Element*>(memory);
  std::vector<Sum> matrix(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      matrix[by_row ? r * columns + c : c * rows + r] = value<Sum>(elements[factor.at(r, c)]);
    }
  }
  return matrix;
}

template <class In, class Sum>
void multiply(const Product& it, const void* a, const void* b, void* c) {
  it.a.check(a);
  it.b.check(b);
  it.c.check(c);
  const std::vector<Sum> left = gathered<In, Sum>(it.a, a, it.m, it.k, false);
  const std::vector<Sum> right = gathered<In, Sum>(it.b, b, it.k, it.n, false);
  auto* const out = static_cast<Sum*>(c);
  const auto alpha = static_cast<Sum>(it.alpha), beta = static_cast<Sum>(it.beta);
  std::vector<Sum> sums(it.m);
  for (std::size_t column = 0; column < it.n; ++column) {
    sums.assign(it.m, Sum{0});
    for (std::size_t i = 0; i < it.k; ++i) {
      const Sum factor = right[column * it.k + i];
      const Sum* const products = left.data() + i * it.m;
      for (std::size_t row = 0; row < it.m; ++row) sums[row] += products[row] * factor;
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

std::size_t size(int value) { return static_cast<std::size_t>(value); }

bool is_supported(cudaDataType in, cudaDataType out, cublasComputeType_t compute) {
  if (compute == CUBLAS_COMPUTE_64F) return in == CUDA_R_64F && out == CUDA_R_64F;
  return out == CUDA_R_32F && (in == CUDA_R_32F || in == CUDA_R_16BF);
}

/// Throws Error for what needs no look at the memory.
Product described(cublasOperation_t a_operation, cublasOperation_t b_operation, int m, int n, int k,
                  const void* alpha, cudaDataType a_type, int lda, cudaDataType b_type, int ldb,
                  const void* beta, cudaDataType c_type, int ldc, cublasComputeType_t compute) {
  if (m <= 0 || n <= 0 || k <= 0) throw Error("cuBLAS: a size is not positive");
  if (a_type != b_type || !is_supported(a_type, c_type, compute)) {
    throw Error("cuBLAS: there is no product of these types");
  }
  const bool plain_a = a_operation == CUBLAS_OP_N, plain_b = b_operation == CUBLAS_OP_N;
  const Product product{
      size(m),
      size(n),
      size(k),
      {"a", a_type, a_operation, size(plain_a ? m : k), size(plain_a ? k : m), size(lda)},
      {"b", b_type, b_operation, size(plain_b ? k : n), size(plain_b ? n : k), size(ldb)},
      {"c", c_type, CUBLAS_OP_N, size(m), size(n), size(ldc)},
      scalar(alpha, compute),
      scalar(beta, compute),
      compute};
  for (const Factor* factor : {&product.a, &product.b, &product.c}) {
    if (factor->leading < factor->rows) {
      throw Error(std::string("cuBLAS: columns of ") + factor->name + " are " +
                  std::to_string(factor->leading) + " apart, but have " +
                  std::to_string(factor->rows) + " rows");
    }
  }
  return product;
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

}  // namespace

const char* cublasGetStatusString(cublasStatus_t status) {
  return cudaGetErrorString(status == CUBLAS_STATUS_SUCCESS ? cudaSuccess : cudaErrorInvalidValue);
}

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t a_operation,
                            cublasOperation_t b_operation, int m, int n, int k, const void* alpha,
                            const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c,
                            cudaDataType c_type, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t) {
  return status_of([&] {
    const Product product = described(a_operation, b_operation, m, n, k, alpha, a_type, lda, b_type,
                                      ldb, beta, c_type, ldc, compute);
    enqueue(handle->stream, [=] { multiply(product, a, b, c); });
  });
}

cublasStatus_t cublasGemmBatchedEx(cublasHandle_t handle, cublasOperation_t a_operation,
                                   cublasOperation_t b_operation, int m, int n, int k,
                                   const void* alpha, const void* const a[], cudaDataType a_type,
                                   int lda, const void* const b[], cudaDataType b_type, int ldb,
                                   const void* beta, void* const c[], cudaDataType c_type, int ldc,
                                   int count, cublasComputeType_t compute, cublasGemmAlgo_t) {
  return status_of([&] {
    const Product product = described(a_operation, b_operation, m, n, k, alpha, a_type, lda, b_type,
                                      ldb, beta, c_type, ldc, compute);
    for (const void* pointers :
         {static_cast<const void*>(a), static_cast<const void*>(b), static_cast<const void*>(c)}) {
      if (!DeviceMemory::instance().holds(pointers, size(count) * sizeof(void*))) {
        throw Error("cuBLAS: an array of pointers does not lie in the device's memory");
      }
    }
    enqueue(handle->stream, [=] {
      for (std::size_t i = 0; i < size(count); ++i) multiply(product, a[i], b[i], c[i]);
    });
  });
}
