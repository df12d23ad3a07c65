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

/// A row-major matrix in a device's memory. Elements start at zero, because the memory resources of
/// the backends hand out zeroed bytes; kernels rely on rows past the used ones being finite.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  /// `memory` must outlive the matrix. Throws std::bad_alloc.
  Matrix(std::pmr::memory_resource* memory, std::size_t rows, std::size_t cols)
      : memory_(memory), rows_(rows), cols_(cols) {
    if (bytes() != 0) data_ = static_cast<T*>(memory_->allocate(bytes(), kAlignment));
  }
  Matrix(Matrix&& other) noexcept { swap(other); }
  Matrix& operator=(Matrix&& other) noexcept {
    Matrix(std::move(other)).swap(*this);
    return *this;
  }
  ~Matrix() {
    if (data_ != nullptr) memory_->deallocate(data_, bytes(), kAlignment);
  }

  MatrixView<T> view() { return {data_, rows_, cols_, cols_}; }
  MatrixView<const T> view() const { return {data_, rows_, cols_, cols_}; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* row(std::size_t index) { return data_ + index * cols_; }
  const T* row(std::size_t index) const { return data_ + index * cols_; }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t bytes() const { return rows_ * cols_ * sizeof(T); }

 private:
  static constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

  void swap(Matrix& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
  }

  std::pmr::memory_resource* memory_ = nullptr;
  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

}  // namespace longshadow
