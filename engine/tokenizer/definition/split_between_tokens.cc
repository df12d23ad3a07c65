#include "engine/tokenizer/definition/split_between_tokens.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>

#include "engine/text/unicode.h"
#include "engine/tokenizer/definition/byte_fallback.h"

namespace longshadow {
namespace {

constexpr std::size_t kByteSpelling = 6;  // <0x0A>

/// The characters behind which some token has a spelled space, but for spelled spaces.
std::set<char32_t> characters_before_spaces(const TokenizerDefinition& definition) {
  const char32_t space = code_point_at(kSpelledSpace, 0)->value;
  std::set<char32_t> characters;
  for (const std::optional<std::string>& token : definition.vocabulary) {
    if (!token) continue;
    for (std::size_t at = token->find(kSpelledSpace); at != std::string::npos;
         at = token->find(kSpelledSpace, at + kSpelledSpace.size())) {
      const auto before = code_point_before(*token, at);
      if (before && before->value != space) characters.insert(before->value);
    }
  }
  return characters;
}

/// Whether a byte that stands for a part of a character may merge with a spelled space: the
/// character is then none that any spelling shows.
bool bytes_merge_with_spaces(const TokenizerDefinition& definition) {
  return std::ranges::any_of(definition.merges, [](const auto& merge) {
    const std::string_view left = merge.first;
    return left.size() >= kByteSpelling && merge.second.starts_with(kSpelledSpace) &&
           byte_spelled_by(left.substr(left.size() - kByteSpelling));
  });
}

std::string in_set(const std::set<char32_t>& characters) {
  std::string set;
  for (const char32_t character : characters) {
    char escaped[16];
    std::snprintf(escaped, sizeof escaped, "\\x{%x}", static_cast<unsigned>(character));
    set += escaped;
  }
  return "[" + set + "]";
}

}  // namespace

std::optional<SplitRule> split_between_tokens(const TokenizerDefinition& definition) {
  const bool is_whole_text_one_word = !definition.byte_level && !definition.ignores_merges;
  if (!is_whole_text_one_word || definition.model == TokenModel::unigram) return std::nullopt;
  // Without a token of its own a space may be one unknown token with what stands before it.
  const bool has_space = std::ranges::any_of(
      definition.vocabulary,
      [](const std::optional<std::string>& token) { return token && *token == kSpelledSpace; });
  if (!has_space || bytes_merge_with_spaces(definition)) return std::nullopt;
  const std::string spaces_and_more = R"(\x{2581}++[^\x{2581}]*+)";
  std::string pattern = "(?:" + spaces_and_more + R"(|[^\x{2581}]++))";
  const std::set<char32_t> before = characters_before_spaces(definition);
  if (!before.empty()) pattern += "(?:(?<=" + in_set(before) + ")" + spaces_and_more + ")*+";
  return SplitRule{.pattern = pattern};
}

}  // namespace longshadow
