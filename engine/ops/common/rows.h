#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// Row i of `to` [ids.size() or more, D] becomes row ids[i] of table [V, D].
void gather_rows(Device& device, ConstTensorView table, std::span<const std::int32_t> ids,
                 TensorView to);

/// Every element of x = value.
void fill_rows(Device& device, double value, TensorView x);

/// to = from, both [rows, cols].
void copy_rows(Device& device, ConstTensorView from, TensorView to);

/// a += b, both [rows, cols].
void add_rows(Device& device, ConstTensorView b, TensorView a);

/// a -= b, both [rows, cols].
void subtract_rows(Device& device, ConstTensorView b, TensorView a);

/// x *= factor, which is rounded to x's type first.
void scale_rows(Device& device, double factor, TensorView x);

/// distances[r] = 1 - cos(a row r, b row r); a, b [distances.size() or more, D].
void cosine_distances(Device& device, ConstTensorView a, ConstTensorView b,
                      std::span<float> distances);

/// gather_rows() on other devices than the processor.
struct GatherRowsKernel
    : Operation<GatherRowsKernel, ConstTensorView, std::span<const std::int32_t>, TensorView> {};

/// scale_rows() on other devices than the processor.
struct ScaleRowsKernel : Operation<ScaleRowsKernel, double, TensorView> {};

/// copy_rows() on other devices than the processor.
struct CopyRowsKernel : Operation<CopyRowsKernel, ConstTensorView, TensorView> {};

/// add_rows() on other devices than the processor.
struct AddRowsKernel : Operation<AddRowsKernel, ConstTensorView, TensorView> {};

/// subtract_rows() on other devices than the processor.
struct SubtractRowsKernel : Operation<SubtractRowsKernel, ConstTensorView, TensorView> {};

/// cosine_distances() on other devices than the processor.
struct CosineDistancesKernel
    : Operation<CosineDistancesKernel, ConstTensorView, ConstTensorView, std::span<float>> {};

/// fill_rows() on other devices than the processor.
struct FillRowsKernel : Operation<FillRowsKernel, double, TensorView> {};

}  // namespace longshadow
