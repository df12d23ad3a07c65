#pragma once

#include <cstddef>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/core/matrix.h"
#include "engine/core/tensor.h"

namespace longshadow::test {

/// Normal values of the given scale that f32 holds exactly, so that every type gets the same ones.
template <class T>
Matrix<T> random_matrix(Cpu& cpu, std::size_t rows, std::size_t cols, unsigned seed,
                        double scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Matrix<T> matrix(cpu.memory(), rows, cols);
  for (std::size_t i = 0; i < rows * cols; ++i) {
    matrix.data()[i] = static_cast<T>(static_cast<float>(scale * normal(random)));
  }
  return matrix;
}

/// The elements of rows [first, first + count), for comparisons of bits.
template <class T>
std::vector<T> elements(const Matrix<T>& matrix, std::size_t first, std::size_t count) {
  return {matrix.row(first), matrix.row(first) + count * matrix.cols()};
}
template <class T>
std::vector<T> elements(const Matrix<T>& matrix) {
  return elements(matrix, 0, matrix.rows());
}

/// The bytes of rows [first, first + count).
inline std::vector<std::byte> elements(const Tensor& tensor, std::size_t first, std::size_t count) {
  const std::byte* const begin = tensor.view().row_range(first, count).data;
  return {begin, begin + count * tensor.cols() * size_of(tensor.element())};
}
inline std::vector<std::byte> elements(const Tensor& tensor) {
  return elements(tensor, 0, tensor.rows());
}

/// One row of a matrix on the host.
template <class T>
std::span<const T> row_of(ConstTensorView matrix, std::size_t index = 0) {
  return {matrix.as<T>().row(index), matrix.cols};
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// run(cpu) returns a vector, which must have the same bits for 1, 2 and 3 threads.
template <class Run>
bool same_bits_for_any_threads(Run&& run) {
  const auto with = [&](std::size_t threads) {
    Cpu cpu(threads);
    return run(cpu);
  };
  const auto expected = with(1);
  return same_bits(with(2), expected) && same_bits(with(3), expected);
}

}  // namespace longshadow::test
