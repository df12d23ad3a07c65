#pragma once

#include <cstddef>
#include <memory_resource>
#include <type_traits>
#include <utility>

namespace longshadow {

/// A row-major window onto somebody else's elements; rows are `stride` elements apart. What is
/// constexpr here and in what follows, CUDA's kernels call too.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  constexpr T* row(std::size_t index) const { return data + index * stride; }
  constexpr MatrixView row_range(std::size_t first, std::size_t count) const {
    return {data + first * stride, count, cols, stride};
  }
  constexpr MatrixView column_range(std::size_t first, std::size_t count) const {
    return {data + first, rows, count, stride};
  }
  constexpr operator MatrixView<const T>() const requires(!std::is_const_v<T>) {
    return {data, rows, cols, stride};
  }
};

/// The memory of a row-major matrix. Elements start at zero, because the memory resources of the
/// devices hand out zeroed bytes; kernels rely on rows past the used ones being finite.
class MatrixMemory {
 public:
  MatrixMemory() = default;
  /// `resource` must outlive the memory. Throws std::bad_alloc.
  MatrixMemory(std::pmr::memory_resource* resource, std::size_t rows, std::size_t cols,
               std::size_t element_bytes)
      : resource_(resource), rows_(rows), cols_(cols), bytes_(rows * cols * element_bytes) {
    if (bytes_ != 0) data_ = static_cast<std::byte*>(resource->allocate(bytes_, kAlignment));
  }
  MatrixMemory(MatrixMemory&& other) noexcept { swap(other); }
  MatrixMemory& operator=(MatrixMemory&& other) noexcept {
    MatrixMemory(std::move(other)).swap(*this);
    return *this;
  }
  ~MatrixMemory() {
    if (data_ != nullptr) resource_->deallocate(data_, bytes_, kAlignment);
  }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

  void swap(MatrixMemory& other) noexcept {
    std::swap(resource_, other.resource_);
    std::swap(data_, other.data_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
    std::swap(bytes_, other.bytes_);
  }

  std::pmr::memory_resource* resource_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t bytes_ = 0;
};

/// A row-major matrix in a device's memory, zero at first.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  /// `resource` must outlive the matrix. Throws std::bad_alloc.
  Matrix(std::pmr::memory_resource* resource, std::size_t rows, std::size_t cols)
      : memory_(resource, rows, cols, sizeof(T)) {}

  MatrixView<T> view() { return {data(), rows(), cols(), cols()}; }
  MatrixView<const T> view() const { return {data(), rows(), cols(), cols()}; }
  T* data() { return reinterpret_cast<T*>(memory_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(memory_.data()); }
  T* row(std::size_t index) { return data() + index * cols(); }
  const T* row(std::size_t index) const { return data() + index * cols(); }
  std::size_t rows() const { return memory_.rows(); }
  std::size_t cols() const { return memory_.cols(); }
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  friend class Tensor;

  MatrixMemory memory_;
};

}  // namespace longshadow
