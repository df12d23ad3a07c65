#include "engine/tokenizer/definition/byte_fallback.h"

#include <cstddef>
#include <string_view>

namespace longshadow {

std::optional<unsigned char> byte_spelled_by(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>') {
    return std::nullopt;
  }
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const std::size_t high = kDigits.find(spelling[3]);
  const std::size_t low = kDigits.find(spelling[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned char>(16 * high + low);
}

std::array<TokenId, 256> byte_fallback_of(std::span<const std::optional<std::string>> vocabulary) {
  std::array<TokenId, 256> ids{};
  ids.fill(kNoToken);
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary[id]) continue;
    if (const auto byte = byte_spelled_by(*vocabulary[id])) ids[*byte] = static_cast<TokenId>(id);
  }
  return ids;
}

}  // namespace longshadow
