#include "engine/io/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace longshadow {
namespace {

struct Sequence {
  std::size_t length;  ///< 0 where the bytes do not begin with well-formed UTF-8
  utf8proc_int32_t code_point;
};

Sequence first_sequence(std::string_view bytes) {
  utf8proc_int32_t code_point = 0;
  const utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()),
                       static_cast<utf8proc_ssize_t>(bytes.size()), &code_point);
  return {length > 0 ? static_cast<std::size_t>(length) : 0, code_point};
}

/// Whether a terminal would obey it, or show what stands beside it in another order.
bool is_obeyed(utf8proc_int32_t code_point) {
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_utf8(std::string_view bytes) { return utf8_prefix(bytes) == bytes.size(); }

std::size_t utf8_prefix(std::string_view bytes) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::uint64_t eight = kHighBits;  // ASCII passes eight bytes at a time: a document may be large
    if (bytes.size() - at >= sizeof eight) std::memcpy(&eight, bytes.data() + at, sizeof eight);
    if ((eight & kHighBits) == 0) {
      at += sizeof eight;
      continue;
    }
    const std::size_t length = first_sequence(bytes.substr(at)).length;
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::size_t incomplete_bytes(std::string_view bytes) {
  const std::size_t most = std::min<std::size_t>(3, bytes.size());
  for (std::size_t length = 1; length <= most; ++length) {
    const auto lead = static_cast<unsigned char>(bytes[bytes.size() - length]);
    if ((lead & 0xc0) == 0x80) continue;  // inside a character
    // What completes a character, if anything does: the second byte decides for some leads.
    std::string whole(bytes.substr(bytes.size() - length));
    const std::size_t needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (length >= needed) return 0;
    const bool second_is_free = length == 1;
    while (whole.size() < needed) whole += '\x80';
    if (first_sequence(whole).length == needed) return length;
    if (!second_is_free) return 0;
    whole[1] = '\xa0';  // E0 and F0 take no 80 behind them
    return first_sequence(whole).length == needed ? length : 0;
  }
  return 0;
}

std::string printable(std::string_view text, std::size_t longest) {
  constexpr char digits[] = "0123456789abcdef";
  std::string result;
  while (!text.empty()) {
    if (result.size() >= longest) return result + "...";
    const auto [length, code_point] = first_sequence(text);
    if (length > 0 && !is_obeyed(code_point)) {
      result += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    for (std::size_t bytes = std::max<std::size_t>(1, length); bytes > 0; --bytes) {
      const auto byte = static_cast<unsigned char>(text.front());
      result += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
      text.remove_prefix(1);
    }
  }
  return result;
}

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 160;
  return "'" + printable(text, kLongest) + "'";
}

}  // namespace longshadow
