#include "engine/io/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>

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

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = first_sequence(bytes).length;
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
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
