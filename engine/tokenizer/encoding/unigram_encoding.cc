#include "engine/tokenizer/encoding/unigram_encoding.h"

#include <algorithm>
#include <utility>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

/// How much worse than the worst token a character without one is: SentencePiece's number.
constexpr double kUnknownPenalty = 10.0;

std::vector<TokenId> spelled_ids(std::span<const std::optional<std::string>> spellings) {
  std::vector<TokenId> ids;
  for (std::size_t id = 0; id < spellings.size(); ++id) {
    if (spellings[id] && !spellings[id]->empty()) ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

PrefixTree tree_of(std::span<const std::optional<std::string>> spellings,
                   std::span<const TokenId> ids) {
  std::vector<std::string> strings;
  strings.reserve(ids.size());
  for (const TokenId id : ids) strings.push_back(*spellings[static_cast<std::size_t>(id)]);
  return PrefixTree(std::move(strings));
}

}  // namespace

UnigramEncoding::UnigramEncoding(std::span<const std::optional<std::string>> spellings,
                                 std::span<const double> scores, std::optional<TokenId> unknown)
    : ids_(spelled_ids(spellings)),
      spellings_(tree_of(spellings, ids_)),
      scores_(scores.begin(), scores.end()),
      unknown_(unknown),
      unknown_score_((scores_.empty() ? 0.0 : *std::ranges::min_element(scores_)) -
                     kUnknownPenalty) {}

std::vector<UnigramEncoding::Path> UnigramEncoding::best_paths(std::string_view word) const {
  std::vector<Path> paths(word.size() + 1);
  for (std::size_t begin = 0; begin < word.size();) {
    const auto character = code_point_at(word, begin);
    const std::size_t length = character ? character->length : 1;
    bool has_token = false;  // of this character alone
    const auto consider = [&](TokenId token, std::size_t bytes, double score) {
      Path& path = paths[begin + bytes];
      const double reached = score + paths[begin].score;
      if (path.token_bytes == 0 || reached > path.score) path = {reached, bytes, token};
      has_token |= bytes == length;
    };
    spellings_.find_prefixes(word.substr(begin), [&](std::size_t place, std::size_t bytes) {
      const TokenId id = ids_[place];
      consider(id, bytes, scores_[static_cast<std::size_t>(id)]);
    });
    if (!has_token) consider(kNoToken, length, unknown_score_);
    begin += length;
  }
  return paths;
}

std::vector<Piece> UnigramEncoding::encode(std::string_view word) const {
  const std::vector<Path> paths = best_paths(word);
  std::vector<Piece> pieces;  // the last first
  std::size_t begin = 0;      // of the last one in `pieces`
  for (std::size_t end = word.size(); end > 0; end = begin) {
    const Path& path = paths[end];
    begin = end - path.token_bytes;
    const TokenId id = path.token == unknown_ ? kNoToken : path.token;
    if (id == kNoToken && !pieces.empty() && pieces.back().id == kNoToken) {
      pieces.back().bytes += path.token_bytes;
    } else {
      pieces.push_back({id, path.token_bytes});
    }
  }
  std::ranges::reverse(pieces);
  begin = 0;
  for (Piece& piece : pieces) {
    // The unknown token's own spelling, for one, is a token.
    if (piece.id == kNoToken) piece.id = find(word.substr(begin, piece.bytes)).value_or(kNoToken);
    begin += piece.bytes;
  }
  return pieces;
}

std::optional<TokenId> UnigramEncoding::find(std::string_view spelling) const {
  std::optional<TokenId> id;
  spellings_.find_prefixes(spelling, [&](std::size_t place, std::size_t bytes) {
    if (bytes == spelling.size()) id = ids_[place];
  });
  return id;
}

}  // namespace longshadow
