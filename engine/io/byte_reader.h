#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace longshadow {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

/// Walks a binary file's bytes; every step is checked against what is left of them and throws Error
/// naming the file, the position and `what` was to be read.
class ByteReader {
 public:
  /// Both must outlive the reader; `source` names the file.
  ByteReader(std::span<const std::byte> bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }

  [[noreturn]] void fail(const std::string& message) const;

  /// A little-endian number.
  template <class T>
  T number(const std::string& what) {
    require(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  /// One byte, 0 or 1.
  bool boolean(const std::string& what);

  /// A 64-bit length and that many bytes.
  std::string string(const std::string& what, std::size_t max_length = SIZE_MAX);

  /// A 64-bit count of things that take at least `bytes_each` bytes, so that none can be made up.
  std::uint64_t count(const std::string& what, std::size_t bytes_each);

 private:
  void require(std::size_t n, const std::string& what) const;

  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::size_t position_ = 0;
};

}  // namespace longshadow
