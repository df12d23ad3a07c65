#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"

namespace longshadow {

/// to [ids.size(), D]: row i is row ids[i] of table [V, D].
template <class Device, class T>
void gather_rows(Device& device, MatrixView<const T> table, std::span<const std::int32_t> ids,
                 MatrixView<T> to);

/// Every element of x = value.
template <class Device, class T>
void fill_rows(Device& device, T value, MatrixView<T> x);

/// to = from, both [rows, cols].
template <class Device, class T>
void copy_rows(Device& device, MatrixView<const T> from, MatrixView<T> to);

/// a -= b, both [rows, cols].
template <class Device, class T>
void subtract_rows(Device& device, MatrixView<const T> b, MatrixView<T> a);

/// distances[r] = 1 - cos(a row r, b row r); a, b [rows, D], rows = distances.size().
template <class Device, class T>
void cosine_distances(Device& device, MatrixView<const T> a, MatrixView<const T> b,
                      std::span<float> distances);

}  // namespace longshadow
