#include "engine/tokenizer/encoding/byte_pair_encoding.h"

#include <optional>

namespace longshadow {
namespace {

std::uint64_t pair_key(TokenId left, TokenId right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

BytePairEncoding::BytePairEncoding(std::span<const Merge> merges) {
  merges_.reserve(merges.size());
  for (const Merge& merge : merges) {
    merges_.try_emplace(pair_key(merge.left, merge.right),
                        Merged{static_cast<double>(merges_.size()), merge.result});
  }
}

std::vector<Piece> BytePairEncoding::encode(std::span<const Piece> word) const {
  return merge_pieces(word, [&](const Piece& left, const Piece& right, std::size_t) {
    const auto found = merges_.find(pair_key(left.id, right.id));
    return found == merges_.end() ? std::nullopt : std::optional(found->second);
  });
}

}  // namespace longshadow
