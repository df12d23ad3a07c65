#include "engine/tokenizer/added_tokens.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "engine/text/unicode.h"

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

std::vector<std::string> spellings_of(std::span<const AddedToken> tokens) {
  std::vector<std::string> spellings;
  spellings.reserve(tokens.size());
  for (const AddedToken& token : tokens) spellings.push_back(token.content);
  return spellings;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), spellings_(spellings_of(tokens_)) {}

AddedTokens::Found AddedTokens::longest_at(std::string_view text, std::size_t at) const {
  Found longest;
  longest.is_open = spellings_.find_prefixes(
      text.substr(at), [&](std::size_t k, std::size_t) { longest.token = &tokens_[k]; });
  return longest;
}

bool AddedTokens::strips_spaces_before() const {
  return std::any_of(tokens_.begin(), tokens_.end(), [](const AddedToken& t) { return t.lstrip; });
}

std::vector<AddedTokens::Section> AddedTokens::split(std::string_view text, SpecialTokens special,
                                                     Extent extent) const {
  const bool goes_on = extent == Extent::beginning;
  std::vector<Section> sections;
  std::size_t plain_begin = 0;
  std::size_t certain_end = text.size();
  for (std::size_t at = 0; at < text.size();) {
    const auto [token, is_open] = longest_at(text, at);
    if (goes_on && is_open) {
      certain_end = at;
      break;
    }
    if (token == nullptr) {
      ++at;
      continue;
    }
    Range match{at, at + token->content.size()};
    at = match.end;
    // A spelling that does not count still hides those that overlap it, as in the reference.
    if (token->special && special == SpecialTokens::as_text) continue;
    const std::size_t spelled_begin = match.begin;
    const bool looks_behind = token->single_word || token->rstrip;
    if (token->rstrip) match.end = behind_white_space(text, match.end);
    if (goes_on && looks_behind && match.end == text.size()) {
      certain_end = spelled_begin;
      break;
    }
    if (token->single_word && is_inside_word(text, {spelled_begin, at})) continue;
    if (token->lstrip) match.begin = begin_of_spaces_before(text, match.begin, plain_begin);
    if (plain_begin < match.begin) sections.push_back({{plain_begin, match.begin}, std::nullopt});
    sections.push_back({match, token->id});
    plain_begin = at = match.end;
  }
  if (goes_on && strips_spaces_before()) {
    certain_end = begin_of_spaces_before(text, certain_end, plain_begin);
  }
  if (plain_begin < certain_end) sections.push_back({{plain_begin, certain_end}, std::nullopt});
  return sections;
}

}  // namespace longshadow
