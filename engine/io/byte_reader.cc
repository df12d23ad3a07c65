#include "engine/io/byte_reader.h"

#include "engine/core/error.h"

namespace longshadow {

void ByteReader::fail(const std::string& message) const {
  throw Error(source_ + ": at byte " + std::to_string(position_) + ": " + message);
}

bool ByteReader::boolean(const std::string& what) {
  const auto value = number<std::uint8_t>(what);
  if (value > 1) fail(what + ": expected a boolean, 0 or 1, found " + std::to_string(value));
  return value == 1;
}

std::string ByteReader::string(const std::string& what, std::size_t max_length) {
  const auto length = number<std::uint64_t>("the length of " + what);
  if (length > max_length) {
    fail(what + ": expected at most " + std::to_string(max_length) + " bytes, found " +
         std::to_string(length));
  }
  require(length, what);
  std::string text(reinterpret_cast<const char*>(bytes_.data() + position_), length);
  position_ += length;
  return text;
}

std::uint64_t ByteReader::count(const std::string& what, std::size_t bytes_each) {
  const auto n = number<std::uint64_t>("the number of " + what);
  if (n > remaining() / bytes_each) {
    fail("expected at most " + std::to_string(remaining() / bytes_each) + " " + what +
         " in the bytes that are left, found " + std::to_string(n) + "; it may be cut short");
  }
  return n;
}

void ByteReader::require(std::size_t n, const std::string& what) const {
  if (n > remaining()) {
    fail(what + " takes " + std::to_string(n) + " bytes, the file has " +
         std::to_string(remaining()) + " left; it may be cut short");
  }
}

}  // namespace longshadow
