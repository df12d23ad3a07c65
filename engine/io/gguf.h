#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/io/stored_tensor.h"

namespace longshadow {

/// A GGUF metadata value, its integers and floats widened to 64 bits. A non-negative integer of any
/// GGUF width is a uint64_t; the elements of an array keep the signedness of its declared type.
/// Arrays of arrays are not supported.
using GgufValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string,
                               std::vector<std::uint64_t>, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<bool>, std::vector<std::string>>;

/// A parsed GGUF file, version 2 or 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
/// Tensors point into the bytes given to parse_gguf, which must outlive this object.
struct Gguf {
  std::string source;  ///< names the file in error messages
  std::uint32_t version = 0;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<StoredTensor> tensors;  ///< sorted by name; shapes outermost dimension first

  bool has(std::string_view key) const;
  /// The value of `key` as T, one of GgufValue's alternatives. Throws Error where the key is
  /// missing or of another type.
  template <class T>
  const T& at(std::string_view key) const;
  /// The same, but nullptr where the key is missing.
  template <class T>
  const T* find_value(std::string_view key) const;
  /// nullptr where no tensor has that name.
  const StoredTensor* find(std::string_view name) const;
};

/// `source` names the file in error messages. Throws Error on anything malformed: a valid file has
/// tensors that follow one another without overlap or gap up to the file's end, each of a
/// StorageType, with 1 to 4 dimensions and rows of whole blocks.
Gguf parse_gguf(std::span<const std::byte> bytes, const std::string& source);

}  // namespace longshadow
