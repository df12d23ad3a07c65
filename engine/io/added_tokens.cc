#include "engine/io/added_tokens.h"

#include <utility>

#include "engine/io/unicode.h"

namespace longshadow {
namespace {

bool is_inside_word(std::string_view text, Range range) {
  const auto before = code_point_before(text, range.begin);
  const auto behind = code_point_at(text, range.end);
  return (before && is_word_character(before->value)) ||
         (behind && is_word_character(behind->value));
}

std::size_t begin_of_spaces_before(std::string_view text, std::size_t at, std::size_t lowest) {
  while (at > lowest) {
    const auto before = code_point_before(text, at);
    if (!before || !is_white_space(before->value)) break;
    at -= before->length;
  }
  return at;
}

std::size_t end_of_spaces_behind(std::string_view text, std::size_t at) {
  while (const auto behind = code_point_at(text, at)) {
    if (!is_white_space(behind->value)) break;
    at += behind->length;
  }
  return at;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)), trie_(1) {
  for (std::size_t index = 0; index < tokens_.size(); ++index) {
    std::size_t node = 0;
    for (const char byte : tokens_[index].content) {
      const auto [child, is_new] = trie_[node].children.try_emplace(byte, trie_.size());
      node = child->second;
      if (is_new) trie_.emplace_back();
    }
    trie_[node].token = index;
  }
}

const AddedToken* AddedTokens::longest_at(std::string_view text, std::size_t at) const {
  const AddedToken* longest = nullptr;
  std::size_t node = 0;
  for (; at < text.size(); ++at) {
    const auto child = trie_[node].children.find(text[at]);
    if (child == trie_[node].children.end()) break;
    node = child->second;
    if (trie_[node].token) longest = &tokens_[*trie_[node].token];
  }
  return longest;
}

std::vector<AddedTokens::Section> AddedTokens::split(std::string_view text,
                                                     SpecialTokens special) const {
  std::vector<Section> sections;
  std::size_t plain_begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = longest_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    Range match{at, at + token->content.size()};
    at = match.end;
    // A spelling that does not count still hides those that overlap it, as in the reference.
    if (token->special && special == SpecialTokens::as_text) continue;
    if (token->single_word && is_inside_word(text, match)) continue;
    if (token->lstrip) match.begin = begin_of_spaces_before(text, match.begin, plain_begin);
    if (token->rstrip) match.end = end_of_spaces_behind(text, match.end);
    if (plain_begin < match.begin) sections.push_back({{plain_begin, match.begin}, std::nullopt});
    sections.push_back({match, token->id});
    plain_begin = at = match.end;
  }
  if (plain_begin < text.size()) sections.push_back({{plain_begin, text.size()}, std::nullopt});
  return sections;
}

}  // namespace longshadow
