#include "probes/text_stream.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace longshadow {
namespace {

/// Bytes at the end of the text that begin a character and need more to end it.
std::size_t incomplete_bytes(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0U) == 0x80U) continue;  // inside a character
    const std::size_t length = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
    return back < length ? back : 0;
  }
  return 0;
}

}  // namespace

std::string TextStream::add(std::string_view piece) {
  held_ += piece;
  std::string whole = held_.substr(0, held_.size() - incomplete_bytes(held_));
  held_.erase(0, whole.size());
  return whole;
}

std::string TextStream::finish() { return std::exchange(held_, {}); }

}  // namespace longshadow
