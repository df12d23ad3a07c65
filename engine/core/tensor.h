#pragma once

#include <cstddef>
#include <memory_resource>
#include <type_traits>
#include <utility>

#include "engine/core/element.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// A MatrixView whose elements' type is known when the program runs: what operations take, so that
/// nobody above them is a template over it. Bytes is std::byte, or const std::byte.
template <class Bytes>
struct BasicTensorView {
  Bytes* data = nullptr;
  Element element = Element::f32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  static constexpr bool kIsConst = std::is_const_v<Bytes>;

  BasicTensorView() = default;
  BasicTensorView(Bytes* bytes, Element type, std::size_t n_rows, std::size_t n_cols,
                  std::size_t row_stride)
      : data(bytes), element(type), rows(n_rows), cols(n_cols), stride(row_stride) {}
  template <class T>
  BasicTensorView(const MatrixView<T>& typed) requires(kIsConst || !std::is_const_v<T>)
      : data(reinterpret_cast<Bytes*>(typed.data)),
        element(element_of<T>()),
        rows(typed.rows),
        cols(typed.cols),
        stride(typed.stride) {}
  template <class Other>
  BasicTensorView(const BasicTensorView<Other>& other) requires(kIsConst && !std::is_const_v<Other>)
      : data(other.data),
        element(other.element),
        rows(other.rows),
        cols(other.cols),
        stride(other.stride) {}

  BasicTensorView row_range(std::size_t first, std::size_t count) const {
    return {data + first * stride * size_of(element), element, count, cols, stride};
  }
  BasicTensorView column_range(std::size_t first, std::size_t count) const {
    return {data + first * size_of(element), element, rows, count, stride};
  }

  /// The view with its type. Throws ContractError, where contracts are checked, for another one.
  template <class T>
  auto as() const {
    using Typed = std::conditional_t<kIsConst, const T, T>;
    require_that(element == element_of<T>() || data == nullptr, "TensorView", "element",
                 name_of(element), name_of(element_of<T>()));
    return MatrixView<Typed>{reinterpret_cast<Typed*>(data), rows, cols, stride};
  }
};

using TensorView = BasicTensorView<std::byte>;
using ConstTensorView = BasicTensorView<const std::byte>;

/// A Matrix whose elements' type is known when the program runs.
class Tensor {
 public:
  Tensor() = default;
  /// `resource` must outlive the tensor. Throws std::bad_alloc.
  Tensor(std::pmr::memory_resource* resource, Element element, std::size_t rows, std::size_t cols)
      : element_(element), memory_(resource, rows, cols, size_of(element)) {}
  template <class T>
  Tensor(Matrix<T> typed) : element_(element_of<T>()), memory_(std::move(typed.memory_)) {}

  TensorView view() { return {memory_.data(), element_, rows(), cols(), cols()}; }
  ConstTensorView view() const { return {memory_.data(), element_, rows(), cols(), cols()}; }
  std::byte* data() { return memory_.data(); }
  const std::byte* data() const { return memory_.data(); }
  Element element() const { return element_; }
  std::size_t rows() const { return memory_.rows(); }
  std::size_t cols() const { return memory_.cols(); }
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  Element element_ = Element::f32;
  MatrixMemory memory_;
};

}  // namespace longshadow
