#pragma once

#include <cstddef>
#include <type_traits>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// Rows of all heads, one head after the other, so that a tile of one head's rows is dense: element
/// (head, row, i) is data[(head * rows + row) * d + i].
template <class T>
struct HeadRows {
  T* data = nullptr;
  std::size_t n_heads = 0;
  std::size_t rows = 0;  ///< of each head, slack included
  std::size_t head_dim = 0;

  /// [rows, d], dense.
  constexpr MatrixView<T> head(std::size_t index) const {
    return {data + index * rows * head_dim, rows, head_dim, head_dim};
  }
  /// [n_heads * rows, d], of all heads.
  MatrixView<T> all() const { return {data, n_heads * rows, head_dim, head_dim}; }
  /// [n_heads, d]: row `row` of every head.
  MatrixView<T> across(std::size_t row) const {
    return {data + row * head_dim, n_heads, head_dim, rows * head_dim};
  }
  /// Heads [first, first + count) from row `row` on, which is row 0 of the part.
  HeadRows part(std::size_t first, std::size_t count, std::size_t row) const {
    return {data + (first * rows + row) * head_dim, count, rows, head_dim};
  }
  operator HeadRows<const T>() const requires(!std::is_const_v<T>) {
    return {data, n_heads, rows, head_dim};
  }
};

/// A matrix seen as head rows: its rows are n_heads times the rows of a head, its cols d.
template <class T>
HeadRows<T> as_heads(MatrixView<T> matrix, std::size_t n_heads) {
  return {matrix.data, n_heads, matrix.rows / n_heads, matrix.cols};
}

/// HeadRows whose elements' type is known when the program runs. Bytes is std::byte, or const
/// std::byte.
template <class Bytes>
struct BasicHeadsView {
  Bytes* data = nullptr;
  Element element = Element::f32;
  std::size_t n_heads = 0;
  std::size_t rows = 0;  ///< of each head, slack included
  std::size_t head_dim = 0;

  static constexpr bool kIsConst = std::is_const_v<Bytes>;

  BasicHeadsView() = default;
  BasicHeadsView(Bytes* bytes, Element type, std::size_t heads, std::size_t rows_of_head,
                 std::size_t size)
      : data(bytes), element(type), n_heads(heads), rows(rows_of_head), head_dim(size) {}
  template <class T>
  BasicHeadsView(const HeadRows<T>& typed) requires(kIsConst || !std::is_const_v<T>)
      : data(reinterpret_cast<Bytes*>(typed.data)),
        element(element_of<T>()),
        n_heads(typed.n_heads),
        rows(typed.rows),
        head_dim(typed.head_dim) {}
  template <class Other>
  BasicHeadsView(const BasicHeadsView<Other>& other) requires(kIsConst && !std::is_const_v<Other>)
      : data(other.data),
        element(other.element),
        n_heads(other.n_heads),
        rows(other.rows),
        head_dim(other.head_dim) {}

  /// [rows, d], dense.
  BasicTensorView<Bytes> head(std::size_t index) const {
    return {from_row(index * rows), element, rows, head_dim, head_dim};
  }
  /// [n_heads * rows, d], of all heads.
  BasicTensorView<Bytes> all() const { return {data, element, n_heads * rows, head_dim, head_dim}; }
  /// [n_heads, d]: row `row` of every head.
  BasicTensorView<Bytes> across(std::size_t row) const {
    return {from_row(row), element, n_heads, head_dim, rows * head_dim};
  }
  /// Heads [first, first + count) from row `row` on, which is row 0 of the part.
  BasicHeadsView part(std::size_t first, std::size_t count, std::size_t row) const {
    return {from_row(first * rows + row), element, count, rows, head_dim};
  }

  /// The view with its type. Throws ContractError, where contracts are checked, for another one.
  template <class T>
  auto as() const {
    using Typed = std::conditional_t<kIsConst, const T, T>;
    require_that(element == element_of<T>() || data == nullptr, "HeadsView", "element",
                 name_of(element), name_of(element_of<T>()));
    return HeadRows<Typed>{reinterpret_cast<Typed*>(data), n_heads, rows, head_dim};
  }

 private:
  /// The rows of all heads lie one after the other: from this one on.
  Bytes* from_row(std::size_t row) const { return data + row * head_dim * size_of(element); }
};

using HeadsView = BasicHeadsView<std::byte>;
using ConstHeadsView = BasicHeadsView<const std::byte>;

/// as_heads() where the elements' type is known when the program runs.
template <class Bytes>
BasicHeadsView<Bytes> as_heads(BasicTensorView<Bytes> matrix, std::size_t n_heads) {
  return {matrix.data, matrix.element, n_heads, matrix.rows / n_heads, matrix.cols};
}

/// Requires `n_heads` heads of size `head_dim` with at least `rows` rows each.
template <class View>
void require_heads(const char* operation, const char* argument, const View& found,
                   std::size_t n_heads, std::size_t rows, std::size_t head_dim) {
  if constexpr (kContracts) {
    if (found.n_heads == n_heads && found.rows >= rows && found.head_dim == head_dim) return;
    fail_contract(
        operation, argument,
        std::to_string(found.n_heads) + " heads of " + shape_text(found.rows, found.head_dim),
        std::to_string(n_heads) + " of " + shape_text(rows, head_dim) + " or more rows");
  }
}

/// Requires at least `rows` rows of size `head_dim` in all heads together.
inline void require_rows_of_all(const char* operation, const char* argument,
                                const ConstHeadsView& found, std::size_t rows,
                                std::size_t head_dim) {
  if constexpr (kContracts) {
    if (found.n_heads * found.rows >= rows && found.head_dim == head_dim) return;
    fail_contract(operation, argument, shape_text(found.n_heads * found.rows, found.head_dim),
                  shape_text(rows, head_dim) + " or more rows");
  }
}

/// to = x [rows, heads * d] with each head's columns apart: the first `rows` rows of every head, in
/// the precision P of the product they go into. On the calling thread.
template <class T, class P>
void split_heads(MatrixView<const T> x, HeadRows<P> to);

/// Rows [0, count) of every head of `from` become rows [first, first + count) of `to`.
void copy_head_rows(Device& device, ConstHeadsView from, std::size_t count, HeadsView to,
                    std::size_t first);

/// copy_head_rows() on other devices than the processor.
struct CopyHeadRowsKernel
    : Operation<CopyHeadRowsKernel, ConstHeadsView, std::size_t, HeadsView, std::size_t> {};

}  // namespace longshadow
