#include <algorithm>
#include <limits>
#include <string_view>

#include "engine/core/error.h"
#include "engine/io/tokenizer_definition.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

constexpr std::string_view kModelKey = "tokenizer.ggml.model";
constexpr std::string_view kPreKey = "tokenizer.ggml.pre";
constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";
constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

// What each pre-tokenizer's name means in llama.cpp (llama-vocab.cpp), whose ids ours equal. Its
// contractions know ASCII letters only, where (?i:'s) would take U+017F, the long s, too.
constexpr char kLlama3Pattern[] =
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen2Pattern[] =
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kDigitPattern[] = R"(\p{N})";

struct KnownPretokenizer {
  std::string_view name;
  std::vector<PretokenizerStep> steps;
  bool ignores_merges = false;
  bool adds_bos = false;
};

KnownPretokenizer find_pretokenizer(const std::string& name, const std::string& source) {
  const std::vector<KnownPretokenizer> known = {
      {"gpt-2", {SplitRule{kGpt2Pattern}}},
      {"smollm", {SplitRule{kDigitPattern}, SplitRule{kGpt2Pattern}}},
      {"llama-bpe", {SplitRule{kLlama3Pattern}}, true, true},
      {"llama3", {SplitRule{kLlama3Pattern}}, true, true},
      {"llama-v3", {SplitRule{kLlama3Pattern}}, true, true},
      {"qwen2", {SplitRule{kQwen2Pattern}}},
      {"deepseek-r1-qwen", {SplitRule{kQwen2Pattern}}},
  };
  std::string names;
  for (const KnownPretokenizer& pretokenizer : known) {
    if (pretokenizer.name == name) return pretokenizer;
    names += (names.empty() ? "" : ", ") + std::string(pretokenizer.name);
  }
  throw Error(source + ": " + std::string(kPreKey) + ": expected one of " + names + ", found " +
              quote(name));
}

/// ggml's token types.
enum class TokenType { normal = 1, unknown, control, user_defined, unused, byte };

std::vector<TokenType> read_types(const Gguf& gguf, std::size_t n_tokens,
                                  const std::string& source) {
  if (!gguf.has(kTypesKey)) return std::vector<TokenType>(n_tokens, TokenType::normal);
  const std::string where = source + ": " + std::string(kTypesKey);
  const auto& numbers = gguf.at<std::vector<std::int64_t>>(kTypesKey);
  if (numbers.size() != n_tokens) {
    throw Error(where + ": expected one entry for each of the " + std::to_string(n_tokens) +
                " tokens, found " + std::to_string(numbers.size()));
  }
  std::vector<TokenType> types;
  types.reserve(n_tokens);
  for (const std::int64_t number : numbers) {
    const std::string found =
        ": token " + std::to_string(types.size()) + " is of type " + std::to_string(number);
    if (number < static_cast<int>(TokenType::normal) ||
        number > static_cast<int>(TokenType::byte)) {
      throw Error(where + found + ", expected 1 to 6");
    }
    const auto type = static_cast<TokenType>(number);
    if (type == TokenType::byte) {
      throw Error(where + found + ", a byte token, which byte-level vocabularies do not have");
    }
    types.push_back(type);
  }
  return types;
}

std::vector<std::pair<std::string, std::string>> read_merges(const Gguf& gguf,
                                                             const std::string& source) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const std::string& merge : gguf.at<std::vector<std::string>>(kMergesKey)) {
    const std::size_t space = merge.find(' ');
    if (space == std::string::npos || merge.find(' ', space + 1) != std::string::npos) {
      throw Error(source + ": " + std::string(kMergesKey) + ": entry " +
                  std::to_string(merges.size()) + ": expected two parts and a space, found " +
                  quote(merge));
    }
    merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return merges;
}

/// An id beyond TokenId's range becomes the largest, which names no token either.
std::optional<TokenId> read_id(const Gguf& gguf, std::string_view key) {
  if (!gguf.has(key)) return std::nullopt;
  constexpr std::uint64_t kLargest = std::numeric_limits<TokenId>::max();
  return static_cast<TokenId>(std::min(gguf.at<std::uint64_t>(key), kLargest));
}

}  // namespace

TokenizerDefinition read_tokenizer(const Gguf& gguf, const std::string& source) {
  if (const auto& model = gguf.at<std::string>(kModelKey); model != "gpt2") {
    throw Error(source + ": " + std::string(kModelKey) +
                ": expected 'gpt2' (byte-level byte-pair encoding), found " + quote(model));
  }
  TokenizerDefinition definition;
  definition.source = source;
  KnownPretokenizer pretokenizer = find_pretokenizer(gguf.at<std::string>(kPreKey), source);
  definition.pretokenizer = std::move(pretokenizer.steps);
  definition.ignores_merges = pretokenizer.ignores_merges;

  const auto& tokens = gguf.at<std::vector<std::string>>(kTokensKey);
  constexpr auto kMostTokens = static_cast<std::size_t>(std::numeric_limits<TokenId>::max());
  if (tokens.empty() || tokens.size() > kMostTokens) {
    throw Error(source + ": " + std::string(kTokensKey) + ": expected 1 to " +
                std::to_string(kMostTokens) + " tokens, found " + std::to_string(tokens.size()));
  }
  if (gguf.has(kScoresKey)) {
    const std::size_t n_scores = gguf.at<std::vector<double>>(kScoresKey).size();
    if (n_scores != tokens.size()) {
      throw Error(source + ": " + std::string(kScoresKey) +
                  ": expected one entry for each of the " + std::to_string(tokens.size()) +
                  " tokens, found " + std::to_string(n_scores));
    }
  }
  const std::vector<TokenType> types = read_types(gguf, tokens.size(), source);
  definition.vocabulary.assign(tokens.begin(), tokens.end());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const bool special = types[id] == TokenType::control || types[id] == TokenType::unknown;
    if (special || types[id] == TokenType::user_defined) {
      definition.added_tokens.push_back(
          {.content = tokens[id], .id = static_cast<TokenId>(id), .special = special});
    }
  }
  definition.merges = read_merges(gguf, source);

  definition.bos = read_id(gguf, "tokenizer.ggml.bos_token_id");
  constexpr std::string_view kAddBosKey = "tokenizer.ggml.add_bos_token";
  definition.adds_bos = gguf.has(kAddBosKey) ? gguf.at<bool>(kAddBosKey) : pretokenizer.adds_bos;
  return definition;
}

}  // namespace longshadow
