#include "engine/io/vocabulary.h"

#include <cstdint>
#include <set>
#include <unordered_set>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/byte_alphabet.h"
#include "engine/io/utf8.h"

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

}  // namespace

Vocabulary::Vocabulary(const TokenizerDefinition& definition)
    : bytes_(definition.vocabulary.size()) {
  check_added_tokens(definition, ids_by_spelling(definition));
  ids_.reserve(bytes_.size());
  for (std::size_t id = 0; id < bytes_.size(); ++id) {
    const std::optional<std::string>& spelling = definition.vocabulary[id];
    if (!spelling) continue;
    bytes_[id] = bytes_spelled_by(*spelling);
    if (bytes_[id]) {
      ids_.emplace(*bytes_[id], static_cast<TokenId>(id));
    } else {
      bytes_[id] = *spelling;
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

std::array<TokenId, 256> Vocabulary::byte_tokens() const {
  std::array<TokenId, 256> tokens{};
  for (std::size_t byte = 0; byte < tokens.size(); ++byte) {
    const char character = static_cast<char>(byte);
    tokens[byte] = find({&character, 1}).value_or(BytePairEncoding::kNoToken);
  }
  return tokens;
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
    const std::optional<std::string> left_bytes = bytes_spelled_by(left);
    const std::optional<std::string> right_bytes = bytes_spelled_by(right);
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
