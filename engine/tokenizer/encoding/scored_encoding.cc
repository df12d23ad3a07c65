#include "engine/tokenizer/encoding/scored_encoding.h"

#include <optional>
#include <utility>

namespace longshadow {

ScoredEncoding::ScoredEncoding(const Vocabulary& vocabulary, std::vector<double> scores)
    : vocabulary_(vocabulary), scores_(std::move(scores)) {}

std::vector<Piece> ScoredEncoding::encode(std::string_view word) const {
  const auto find_merge = [&](const Piece& left, const Piece& right,
                              std::size_t begin) -> std::optional<Merged> {
    const auto id = vocabulary_.find(word.substr(begin, left.bytes + right.bytes));
    if (!id) return std::nullopt;
    return Merged{-scores_[static_cast<std::size_t>(*id)], *id};
  };
  return merge_pieces(vocabulary_.characters_of(word), find_merge);
}

}  // namespace longshadow
