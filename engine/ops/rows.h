#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// Row i of `to` [ids.size() or more, D] becomes row ids[i] of table [V, D].
template <class T>
void gather_rows(Cpu& device, MatrixView<const T> table, std::span<const std::int32_t> ids,
                 MatrixView<T> to);
template <class T>
void gather_rows(Cuda& device, MatrixView<const T> table, std::span<const std::int32_t> ids,
                 MatrixView<T> to);

/// Every element of x = value.
template <class T>
void fill_rows(Cpu& device, T value, MatrixView<T> x);
template <class T>
void fill_rows(Cuda& device, T value, MatrixView<T> x);

/// to = from, both [rows, cols].
template <class T>
void copy_rows(Cpu& device, MatrixView<const T> from, MatrixView<T> to);
template <class T>
void copy_rows(Cuda& device, MatrixView<const T> from, MatrixView<T> to);

/// a -= b, both [rows, cols].
template <class T>
void subtract_rows(Cpu& device, MatrixView<const T> b, MatrixView<T> a);
template <class T>
void subtract_rows(Cuda& device, MatrixView<const T> b, MatrixView<T> a);

/// distances[r] = 1 - cos(a row r, b row r); a, b [distances.size() or more, D].
template <class T>
void cosine_distances(Cpu& device, MatrixView<const T> a, MatrixView<const T> b,
                      std::span<float> distances);
template <class T>
void cosine_distances(Cuda& device, MatrixView<const T> a, MatrixView<const T> b,
                      std::span<float> distances);

template <class T>
void check_gather_rows(MatrixView<const T> table, std::span<const std::int32_t> ids,
                       MatrixView<T> to) {
  require_below("gather_rows", "ids", ids, table.rows);
  require_rows("gather_rows", "to", to, ids.size(), table.cols);
}

template <class T>
void check_copy_rows(MatrixView<const T> from, MatrixView<T> to) {
  require_shape("copy_rows", "to", to, from.rows, from.cols);
}

template <class T>
void check_subtract_rows(MatrixView<const T> b, MatrixView<T> a) {
  require_shape("subtract_rows", "b", b, a.rows, a.cols);
}

template <class T>
void check_cosine_distances(MatrixView<const T> a, MatrixView<const T> b,
                            std::span<float> distances) {
  require_rows("cosine_distances", "a", a, distances.size(), b.cols);
  require_rows("cosine_distances", "b", b, distances.size(), a.cols);
}

}  // namespace longshadow
