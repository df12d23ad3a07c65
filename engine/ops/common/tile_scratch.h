#pragma once

#include <cstddef>
#include <vector>

#include "engine/backend/cpu.h"
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

}  // namespace longshadow
