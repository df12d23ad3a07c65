#include "engine/tokenizer/encoding/byte_alphabet.h"

#include <array>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

constexpr int kBytes = 256;

constexpr bool is_printable_latin1(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) ||
         (byte >= 0xae && byte <= 0xff);
}

/// Printable Latin-1 stands for itself; the other bytes take U+0100, U+0101, ... in order.
constexpr std::array<char32_t, kBytes> make_alphabet() {
  std::array<char32_t, kBytes> alphabet{};
  char32_t next = 0x100;
  for (int byte = 0; byte < kBytes; ++byte) {
    alphabet[byte] = is_printable_latin1(byte) ? static_cast<char32_t>(byte) : next++;
  }
  return alphabet;
}

constexpr std::array<char32_t, kBytes> kAlphabet = make_alphabet();

constexpr char32_t kPastAlphabet = 0x100 + 68;  // 68 bytes are not printable Latin-1

constexpr std::array<std::int16_t, kPastAlphabet> make_inverse() {
  std::array<std::int16_t, kPastAlphabet> inverse{};
  inverse.fill(-1);
  for (int byte = 0; byte < kBytes; ++byte) {
    inverse[kAlphabet[byte]] = static_cast<std::int16_t>(byte);
  }
  return inverse;
}

constexpr std::array<std::int16_t, kPastAlphabet> kInverse = make_inverse();

std::optional<char> byte_of(char32_t character) {
  if (character >= kPastAlphabet || kInverse[character] < 0) return std::nullopt;
  return static_cast<char>(kInverse[character]);
}

std::array<std::string, kBytes> make_spellings() {
  std::array<std::string, kBytes> spellings;
  for (int byte = 0; byte < kBytes; ++byte) append_utf8(spellings[byte], kAlphabet[byte]);
  return spellings;
}

}  // namespace

std::string_view spelling_of(std::uint8_t byte) {
  static const std::array<std::string, kBytes> spellings = make_spellings();
  return spellings[byte];
}

std::optional<std::string> bytes_spelled_by(std::string_view spelling) {
  std::string bytes;
  for (std::size_t at = 0; at < spelling.size();) {
    const std::optional<CodePoint> character = code_point_at(spelling, at);
    const std::optional<char> byte = character ? byte_of(character->value) : std::nullopt;
    if (!byte) return std::nullopt;
    bytes += *byte;
    at += character->length;
  }
  return bytes;
}

}  // namespace longshadow
