#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/operation.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow {

/// Moves the kept keys of one KV head together: row r of `keys` [kept.size(), d], the key of
/// position kept[r] after rotation, is turned by (r - kept[r]) frequency, so that its position is
/// r. frequencies [d / 2], radians per position. In f32 the angles are f32 too, as in kvpress
/// 0.5.5.
void rotate_kept_keys(Device& device, std::span<const std::uint32_t> kept,
                      std::span<const double> frequencies, TensorView keys);

/// rotate_kept_keys() on other devices than the processor.
struct RotateKeptKeysKernel : Operation<RotateKeptKeysKernel, std::span<const std::uint32_t>,
                                        std::span<const double>, TensorView> {};

}  // namespace longshadow
