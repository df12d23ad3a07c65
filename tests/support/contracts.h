#pragma once

#include <cstddef>
#include <utility>

#include "engine/backend/cpu.h"
#include "engine/backend/transfer.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/projection/heads.h"
#include "tests/support/devices.h"
#include "tests/support/error_of.h"

/// For cases in which a caller breaks a contract. Only builds with LONGSHADOW_CONTRACTS have them:
/// arguments here have a shape and no elements, which nobody reads where the contract is checked.
namespace longshadow::test {

template <class T>
MatrixView<T> shaped(std::size_t rows, std::size_t cols) {
  return {nullptr, rows, cols, cols};
}

template <class T>
HeadRows<T> shaped_heads(std::size_t n_heads, std::size_t rows, std::size_t head_dim) {
  return {nullptr, n_heads, rows, head_dim};
}

/// W [outputs, inputs] of zeros, as the device's products take it.
template <class T, class Device>
PackedWeights zero_weights(Device& device, std::size_t outputs, std::size_t inputs) {
  return packed(device, Matrix<T>(host_memory(), outputs, inputs));
}

}  // namespace longshadow::test
