#pragma once

#include <cstddef>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/core/half.h"
#include "engine/core/matrix.h"

namespace longshadow {

/// A thread's own matrix that keeps its memory from call to call: one per thread and Tag type. The
/// contents are whatever the last user left.
template <class T, class Tag>
MatrixView<T> tile_scratch(Cpu& cpu, std::size_t rows, std::size_t cols) {
  thread_local Matrix<T> memory;
  if (memory.rows() * memory.cols() < rows * cols) memory = Matrix<T>(cpu.memory(), rows, cols);
  return {memory.data(), rows, cols, cols};
}

/// to [rows, cols] = from rounded to bf16.
inline void round_to_bf16(MatrixView<const float> from, MatrixView<BF16> to) {
  for (std::size_t r = 0; r < to.rows; ++r) {
    const float* in = from.row(r);
    BF16* out = to.row(r);
    for (std::size_t c = 0; c < to.cols; ++c) out[c] = to_bf16(in[c]);
  }
}

}  // namespace longshadow
