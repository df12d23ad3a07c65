#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace longshadow {

/// One field of a message. What it is called and means is said by whoever defined the message.
struct ProtobufField {
  enum class Kind { varint, bits64, bytes, bits32 };  ///< the encoding's wire types

  std::uint64_t number = 0;
  Kind kind = Kind::varint;
  std::uint64_t bits = 0;              ///< of a number
  std::span<const std::byte> bytes{};  ///< of a string, or of a message within the message
};

/// Reads a message of Protocol Buffers (https://protobuf.dev/programming-guides/encoding) field by
/// field. Nothing is copied: fields point into the message, which must outlive them.
class ProtobufReader {
 public:
  /// `source` names the message in errors.
  ProtobufReader(std::span<const std::byte> message, std::string source);

  /// The next field; empty at the end. Throws Error where what stands there is no field.
  std::optional<ProtobufField> next();

 private:
  [[noreturn]] void refuse(const char* what) const;
  std::uint64_t read_varint();
  std::uint64_t read_bits(std::size_t n_bytes);
  std::span<const std::byte> take(std::uint64_t n_bytes);

  std::span<const std::byte> message_;
  std::size_t at_ = 0;
  std::string source_;
};

}  // namespace longshadow
