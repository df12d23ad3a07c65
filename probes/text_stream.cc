#include "probes/text_stream.h"

#include <cstddef>

namespace longshadow {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

/// How a text begins: with a character, or with bytes of which none will ever come.
struct Beginning {
  std::size_t length;
  bool is_character;
  bool needs_more;  ///< the text ends before the character does
};

/// Unicode 15, table 3-7: how long a character with this first byte is, 0 where none has it, and
/// between what its second byte lies.
struct FirstByte {
  std::size_t length;
  unsigned char low = 0x80, high = 0xbf;
};

FirstByte described(unsigned char byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xc2 || byte > 0xf4) return {0};
  if (byte < 0xe0) return {2};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {4};
}

Beginning beginning_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const FirstByte first = described(byte(0));
  if (first.length == 0) return {1, false, false};
  for (std::size_t i = 1; i < first.length; ++i) {
    if (i == text.size()) return {i, false, true};
    const unsigned char low = i == 1 ? first.low : 0x80;
    const unsigned char high = i == 1 ? first.high : 0xbf;
    if (byte(i) < low || byte(i) > high) return {i, false, false};
  }
  return {first.length, true, false};
}

}  // namespace

std::string TextStream::add(std::string_view piece) {
  held_ += piece;
  std::string shown;
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Beginning beginning = beginning_of(rest);
    if (beginning.needs_more) break;
    shown += beginning.is_character ? rest.substr(0, beginning.length) : kReplacement;
    rest.remove_prefix(beginning.length);
  }
  held_.erase(0, held_.size() - rest.size());
  return shown;
}

std::string TextStream::finish() {
  std::string shown(held_.empty() ? "" : kReplacement);
  held_.clear();
  return shown;
}

}  // namespace longshadow
