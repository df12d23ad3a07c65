#pragma once

#include <cstdint>
#include <span>

#include "engine/backend/devices.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"

namespace longshadow {

/// Moves the kept keys of one KV head together: row r of `keys` [kept.size(), d], the key of
/// position kept[r] after rotation, is turned by (r - kept[r]) frequency, so that its position is
/// r. frequencies [d / 2], radians per position. In f32 the angles are f32 too, as in kvpress
/// 0.5.5.
template <class T>
void rotate_kept_keys(Cpu& device, std::span<const std::uint32_t> kept,
                      std::span<const double> frequencies, MatrixView<T> keys);
template <class T>
void rotate_kept_keys(Cuda& device, std::span<const std::uint32_t> kept,
                      std::span<const double> frequencies, MatrixView<T> keys);

template <class T>
void check_rotate_kept_keys(std::span<const std::uint32_t> kept,
                            std::span<const double> frequencies, MatrixView<T> keys) {
  require_shape("rotate_kept_keys", "keys", keys, kept.size(), 2 * frequencies.size());
}

}  // namespace longshadow
