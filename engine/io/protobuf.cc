#include "engine/io/protobuf.h"

#include <utility>

#include "engine/core/error.h"

namespace longshadow {

ProtobufReader::ProtobufReader(std::span<const std::byte> message, std::string source)
    : message_(message), source_(std::move(source)) {}

std::optional<ProtobufField> ProtobufReader::next() {
  if (at_ == message_.size()) return std::nullopt;
  const std::uint64_t tag = read_varint();
  ProtobufField field{.number = tag >> 3};
  if (field.number == 0) refuse("a field of number 0");
  switch (tag & 7) {
    case 0:
      field.bits = read_varint();
      return field;
    case 1:
      field.kind = ProtobufField::Kind::bits64;
      field.bits = read_bits(8);
      return field;
    case 2:
      field.kind = ProtobufField::Kind::bytes;
      field.bytes = take(read_varint());
      return field;
    case 5:
      field.kind = ProtobufField::Kind::bits32;
      field.bits = read_bits(4);
      return field;
    default:
      refuse("an unknown kind of field");
  }
}

void ProtobufReader::refuse(const char* what) const {
  throw Error(source_ + ": expected a Protocol Buffers message, found " + what + " before byte " +
              std::to_string(at_) + " of " + std::to_string(message_.size()));
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
std::uint64_t ProtobufReader::read_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(take(1)[0]);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  refuse("a number of more than ten bytes");
}

std::uint64_t ProtobufReader::read_bits(std::size_t n_bytes) {
  std::uint64_t value = 0;
  const std::span<const std::byte> bytes = take(n_bytes);
  for (std::size_t i = 0; i < n_bytes; ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return value;
}

std::span<const std::byte> ProtobufReader::take(std::uint64_t n_bytes) {
  if (n_bytes > message_.size() - at_) refuse("an end within a field");
  const std::span<const std::byte> bytes = message_.subspan(at_, n_bytes);
  at_ += n_bytes;
  return bytes;
}

}  // namespace longshadow
