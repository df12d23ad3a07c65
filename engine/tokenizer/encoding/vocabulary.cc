#include "engine/tokenizer/encoding/vocabulary.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <unordered_set>
#include <utility>

#include "engine/core/error.h"
#include "engine/text/unicode.h"
#include "engine/text/utf8.h"
#include "engine/tokenizer/encoding/byte_alphabet.h"

namespace longshadow {
namespace {

using SpellingIds = std::unordered_map<std::string_view, TokenId>;

std::string described(TokenId id, std::string_view spelling) {
  return "token " + std::to_string(id) + " " + quote(spelling);
}

SpellingIds ids_by_spelling(const TokenizerDefinition& definition) {
  SpellingIds ids;
  ids.reserve(definition.vocabulary.size());
  for (std::size_t id = 0; id < definition.vocabulary.size(); ++id) {
    if (!definition.vocabulary[id]) continue;
    const auto token = static_cast<TokenId>(id);
    const auto [other, is_new] = ids.try_emplace(*definition.vocabulary[id], token);
    if (!is_new) {
      throw Error(definition.source + ": " + described(token, other->first) +
                  " is spelled like token " + std::to_string(other->second));
    }
  }
  return ids;
}

/// The ordinary tokens say who owns an id or a spelling; an added token may only agree with them.
void check_added_tokens(const TokenizerDefinition& definition, SpellingIds ids) {
  const std::size_t ordinary = definition.vocabulary.size();
  std::set<TokenId> added_ids;
  std::set<std::string_view> added_spellings;
  for (const AddedToken& token : definition.added_tokens) {
    const std::string name = definition.source + ": added " + described(token.id, token.content);
    if (token.content.empty()) throw Error(name + " has no spelling");
    if (!added_ids.insert(token.id).second || !added_spellings.insert(token.content).second) {
      throw Error(name + " has the id or the spelling of another added token");
    }
    const auto same_spelling = ids.find(token.content);
    if (same_spelling != ids.end() && same_spelling->second != token.id) {
      throw Error(name + " is in the vocabulary as token " + std::to_string(same_spelling->second));
    }
    const auto index = static_cast<std::size_t>(token.id);
    if (index < ordinary && definition.vocabulary[index] &&
        *definition.vocabulary[index] != token.content) {
      throw Error(name + " has the id of " + quote(*definition.vocabulary[index]) +
                  " in the vocabulary");
    }
  }
}

/// What the spelling of a token of a vocabulary of texts says.
std::string text_spelled_by(std::string_view spelling) {
  std::string text;
  while (true) {
    const std::size_t found = spelling.find(kSpelledSpace);
    text += spelling.substr(0, found);
    if (found == std::string_view::npos) return text;
    text += ' ';
    spelling.remove_prefix(found + kSpelledSpace.size());
  }
}

}  // namespace

Vocabulary::Vocabulary(const TokenizerDefinition& definition)
    : byte_level_(definition.byte_level),
      byte_fallback_(definition.byte_fallback),
      bytes_(definition.vocabulary.size()) {
  check_added_tokens(definition, ids_by_spelling(definition));
  ids_.reserve(bytes_.size());
  for (std::size_t id = 0; id < bytes_.size(); ++id) {
    const std::optional<std::string>& spelling = definition.vocabulary[id];
    if (!spelling) continue;
    if (!byte_level_) {
      ids_.emplace(*spelling, static_cast<TokenId>(id));
      bytes_[id] = text_spelled_by(*spelling);
      continue;
    }
    bytes_[id] = bytes_spelled_by(*spelling);
    if (bytes_[id]) {
      ids_.emplace(*bytes_[id], static_cast<TokenId>(id));
    } else {
      bytes_[id] = *spelling;
    }
  }
  if (byte_fallback_) {
    for (std::size_t byte = 0; byte < byte_fallback_->size(); ++byte) {
      const TokenId id = (*byte_fallback_)[byte];
      if (id != kNoToken)
        bytes_[static_cast<std::size_t>(id)] = std::string(1, static_cast<char>(byte));
    }
  }
  for (const AddedToken& token : definition.added_tokens) {
    const auto id = static_cast<std::size_t>(token.id);
    if (id >= bytes_.size()) bytes_.resize(id + 1);
    bytes_[id] = token.content;
  }
  if (definition.unknown && bytes_of(*definition.unknown) == nullptr) {
    throw Error(definition.source + ": the unknown token's id " +
                std::to_string(*definition.unknown) + " names none of the " +
                std::to_string(size()) + " tokens");
  }
}

const std::string* Vocabulary::bytes_of(TokenId id) const {
  const auto index = static_cast<std::size_t>(id);
  return id >= 0 && index < bytes_.size() && bytes_[index] ? &*bytes_[index] : nullptr;
}

std::optional<TokenId> Vocabulary::find(std::string_view bytes) const {
  const auto found = ids_.find(bytes);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Piece> Vocabulary::characters_of(std::string_view word) const {
  std::vector<Piece> pieces;
  for (std::size_t at = 0; at < word.size();) {
    const auto character = byte_level_ ? std::nullopt : code_point_at(word, at);
    const std::size_t bytes = character ? character->length : 1;
    pieces.push_back({find(word.substr(at, bytes)).value_or(kNoToken), bytes});
    at += bytes;
  }
  return pieces;
}

std::vector<Piece> Vocabulary::with_byte_fallback(std::span<const Piece> pieces,
                                                  std::string_view word) const {
  std::vector<Piece> result;
  std::size_t begin = 0;
  for (const Piece& piece : pieces) {
    const std::string_view bytes = word.substr(begin, piece.bytes);
    const auto has_token = [&](char byte) { return find_byte(byte) != kNoToken; };
    if (piece.id == kNoToken && byte_fallback_ && std::ranges::all_of(bytes, has_token)) {
      for (const char byte : bytes) result.push_back({find_byte(byte), 1});
    } else {
      result.push_back(piece);
    }
    begin += piece.bytes;
  }
  return result;
}

TokenId Vocabulary::find_byte(char byte) const {
  return (*byte_fallback_)[static_cast<unsigned char>(byte)];
}

std::vector<BytePairEncoding::Merge> resolve_merges(const TokenizerDefinition& definition,
                                                    const Vocabulary& vocabulary) {
  std::vector<BytePairEncoding::Merge> merges;
  merges.reserve(definition.merges.size());
  std::unordered_set<std::uint64_t> seen;
  seen.reserve(definition.merges.size());
  for (const auto& parts : definition.merges) {
    const std::string& left = parts.first;
    const std::string& right = parts.second;
    const auto refuse = [&](const std::string& reason) {
      throw Error(definition.source + ": merge " + std::to_string(merges.size()) + " of " +
                  quote(left) + " and " + quote(right) + ": " + reason);
    };
    const auto token_of = [&](const std::string& bytes) {
      const std::optional<TokenId> id = vocabulary.find(bytes);
      if (!id) refuse(quote(bytes) + " is not in the vocabulary");
      return *id;
    };
    const auto bytes_of = [&](const std::string& part) {
      return definition.byte_level ? bytes_spelled_by(part) : part;
    };
    const std::optional<std::string> left_bytes = bytes_of(left);
    const std::optional<std::string> right_bytes = bytes_of(right);
    if (!left_bytes || !right_bytes) refuse("it is not spelled in the byte alphabet");
    const BytePairEncoding::Merge merge{token_of(*left_bytes), token_of(*right_bytes),
                                        token_of(*left_bytes + *right_bytes)};
    const std::uint64_t pair = static_cast<std::uint64_t>(merge.left) << 32 | merge.right;
    if (!seen.insert(pair).second) refuse("it is repeated");
    merges.push_back(merge);
  }
  return merges;
}

}  // namespace longshadow
