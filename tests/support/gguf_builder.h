#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshadow::test {

/// Bytes as a GGUF file has them: little-endian numbers, strings after a 64-bit length.
class Bytes {
 public:
  template <class T>
  Bytes& number(T value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), begin, begin + sizeof value);
    return *this;
  }
  Bytes& u32(std::uint32_t value) { return number(value); }
  Bytes& u64(std::uint64_t value) { return number(value); }
  Bytes& text(std::string_view text) {
    for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Bytes& string(std::string_view value) { return u64(value.size()).text(value); }
  Bytes& append(const std::vector<std::byte>& other) {
    bytes_.insert(bytes_.end(), other.begin(), other.end());
    return *this;
  }
  Bytes& pad_to(std::size_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_.push_back({});
    return *this;
  }
  const std::vector<std::byte>& get() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// GGUF's numbers of the value types.
enum GgufType : std::uint32_t {
  U8,
  I8,
  U16,
  I16,
  U32,
  I32,
  F32,
  BOOL,
  STRING,
  ARRAY,
  U64,
  I64,
  F64
};

struct GgufTensor {
  std::string name;
  std::vector<std::uint64_t> dimensions;  ///< innermost first, as the file has them
  std::uint32_t type = 0;                 ///< ggml's number; 0 is F32
  std::vector<std::byte> data;
  std::optional<std::uint64_t> offset;  ///< where to claim it lies, instead of where it does
};

/// Lays out a GGUF file: a well-formed one, unless told to claim something else.
class GgufBuilder {
 public:
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::uint64_t> n_tensors;  ///< to claim, instead of the true number
  std::optional<std::uint64_t> n_pairs;
  std::size_t alignment = 32;  ///< of the layout; the metadata key is the caller's
  bool pad_end = true;

  /// A key with its value's type and bytes as given.
  GgufBuilder& pair(std::string_view key, std::uint32_t type, const Bytes& value) {
    pairs_.push_back(Bytes().string(key).u32(type).append(value.get()));
    return *this;
  }
  template <class T>
  GgufBuilder& number(std::string_view key, GgufType type, T value) {
    return pair(key, type, Bytes().number(value));
  }
  GgufBuilder& u32(std::string_view key, std::uint32_t value) { return number(key, U32, value); }
  GgufBuilder& string(std::string_view key, std::string_view value) {
    return pair(key, STRING, Bytes().string(value));
  }
  /// An array of `count` elements whose bytes are given.
  GgufBuilder& array(std::string_view key, std::uint32_t element_type, std::uint64_t count,
                     const Bytes& elements) {
    return pair(key, ARRAY, Bytes().u32(element_type).u64(count).append(elements.get()));
  }
  GgufBuilder& tensor(GgufTensor tensor) {
    tensors_.push_back(std::move(tensor));
    return *this;
  }

  std::vector<std::byte> build() const {
    Bytes file;
    file.text(magic).u32(version);
    file.u64(n_tensors.value_or(tensors_.size())).u64(n_pairs.value_or(pairs_.size()));
    for (const Bytes& pair : pairs_) file.append(pair.get());
    Bytes data;
    for (const GgufTensor& tensor : tensors_) {
      data.pad_to(alignment);
      file.string(tensor.name).u32(static_cast<std::uint32_t>(tensor.dimensions.size()));
      for (const std::uint64_t dimension : tensor.dimensions) file.u64(dimension);
      file.u32(tensor.type).u64(tensor.offset.value_or(data.get().size()));
      data.append(tensor.data);
    }
    if (pad_end) data.pad_to(alignment);
    return file.pad_to(alignment).append(data.get()).get();
  }

 private:
  std::vector<Bytes> pairs_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace longshadow::test
