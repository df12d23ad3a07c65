#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// Adds to every row of `to` k weighted rows of `from`, one after the other:
///   to_r += sum_j weights[r, j] from_{ids[r, j]}.
/// from [V, D]; to [R, D]; ids, weights [R k], where id -1 adds nothing.
void add_weighted_rows(Device& device, ConstTensorView from, std::span<const std::int32_t> ids,
                       std::span<const double> weights, TensorView to);

/// Products of every row of a with k rows of b: dots[r, j] = a_r . b_{ids[r, j]}, summed in f64; 0
/// for id -1. a [R, D]; b [V, D]; ids, dots [R k].
void dot_rows(Device& device, ConstTensorView a, ConstTensorView b,
              std::span<const std::int32_t> ids, std::span<double> dots);

/// add_weighted_rows() on other devices than the processor.
struct AddWeightedRowsKernel
    : Operation<AddWeightedRowsKernel, ConstTensorView, std::span<const std::int32_t>,
                std::span<const double>, TensorView> {};

/// dot_rows() on other devices than the processor.
struct DotRowsKernel : Operation<DotRowsKernel, ConstTensorView, ConstTensorView,
                                 std::span<const std::int32_t>, std::span<double>> {};

}  // namespace longshadow
