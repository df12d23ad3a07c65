#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longshadow {

/// How a tensor's elements lie in a file. The quantised formats are ggml's block formats.
enum class StorageType {
  f32,
  f16,
  bf16,
  // blocks of codes that scales, and in some minima, turn into values
  q1_0,
  q2_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  tq1_0,
  tq2_0,
  // blocks of codes that name values, or rows of four or eight, in a table
  mxfp4,
  nvfp4,
  iq4_nl,
  iq4_xs,
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
};

std::string_view name_of(StorageType type);
/// Elements in one block (1 for the plain types) and the bytes it takes.
std::size_t block_elements(StorageType type);
std::size_t block_bytes(StorageType type);

/// One tensor of a model file, its bytes still in the file's own encoding.
struct StoredTensor {
  std::string name;
  StorageType type;
  std::vector<std::size_t> shape;  ///< outermost dimension first, as in PyTorch
  std::span<const std::byte> data;

  std::size_t elements() const;
};

/// The shape as "[49152, 576]", for messages.
std::string describe_shape(std::span<const std::size_t> shape);

/// The tensor of that name in a list sorted by name; nullptr where there is none.
const StoredTensor* find_tensor(std::span<const StoredTensor> sorted, std::string_view name);

}  // namespace longshadow
