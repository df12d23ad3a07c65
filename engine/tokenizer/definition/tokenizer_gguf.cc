#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <string_view>

#include "engine/core/error.h"
#include "engine/text/utf8.h"
#include "engine/tokenizer/definition/byte_fallback.h"
#include "engine/tokenizer/definition/control_spellings.h"
#include "engine/tokenizer/definition/gguf_pretokenizers.h"
#include "engine/tokenizer/definition/tokenizer_definition.h"

namespace longshadow {
namespace {

constexpr std::string_view kModelKey = "tokenizer.ggml.model";
constexpr std::string_view kPreKey = "tokenizer.ggml.pre";
constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";
constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

/// The pre-tokenizer that the file names. One that names none has the default, which splits most
/// texts otherwise than the model was trained on: the definition says so.
NamedPretokenizer read_pretokenizer(const Gguf& gguf, const std::string& source,
                                    TokenizerDefinition& definition) {
  const std::string where = source + ": " + std::string(kPreKey);
  const auto* const name = gguf.find_value<std::string>(kPreKey);
  if (name != nullptr && !name->empty()) return gguf_pretokenizer(*name, where);
  definition.warnings.push_back(where + " is missing; texts are split as in llama.cpp's '" +
                                std::string(kDefaultPretokenizer) +
                                "', which may not be the model's own way; convert the model again "
                                "with a newer llama.cpp");
  return gguf_pretokenizer(kDefaultPretokenizer, where);
}

/// ggml's token types.
enum class TokenType { normal = 1, unknown, control, user_defined, unused, byte };

std::vector<TokenType> read_types(const Gguf& gguf, std::span<const std::string> tokens,
                                  bool byte_level, const std::string& source) {
  const std::size_t n_tokens = tokens.size();
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
    if (type == TokenType::byte && byte_level) {
      throw Error(where + found + ", a byte token, which byte-level vocabularies do not have");
    }
    if (type == TokenType::byte && !byte_spelled_by(tokens[types.size()])) {
      throw Error(where + found + ", a byte token, so expected a spelling of <0x00> to <0xFF>, " +
                  "found " + quote(tokens[types.size()]));
    }
    types.push_back(type);
  }
  return types;
}

/// Spellings whose tokens are control tokens whatever their types say, as in llama.cpp: files that
/// give no types, or wrong ones, are common.
std::set<std::string_view> control_spellings(const Gguf& gguf) {
  std::set<std::string_view> spellings(end_spellings().begin(), end_spellings().end());
  for (const MiddleMark& mark : middle_marks()) {
    if (!gguf.has(mark.key)) spellings.insert(mark.spellings.begin(), mark.spellings.end());
  }
  return spellings;
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

/// Spellings by id. Tokens without one are called as llama.cpp calls them.
std::vector<std::string> read_tokens(const Gguf& gguf, const std::string& source) {
  std::vector<std::string> tokens = gguf.at<std::vector<std::string>>(kTokensKey);
  constexpr auto kMostTokens = static_cast<std::size_t>(std::numeric_limits<TokenId>::max());
  if (tokens.empty() || tokens.size() > kMostTokens) {
    throw Error(source + ": " + std::string(kTokensKey) + ": expected 1 to " +
                std::to_string(kMostTokens) + " tokens, found " + std::to_string(tokens.size()));
  }
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) tokens[id] = "[EMPTY_" + std::to_string(id) + "]";
  }
  return tokens;
}

/// One for each token, or none.
const std::vector<double>* read_scores(const Gguf& gguf, std::size_t n_tokens,
                                       const std::string& source) {
  const auto* const scores = gguf.find_value<std::vector<double>>(kScoresKey);
  if (scores != nullptr && scores->size() != n_tokens) {
    throw Error(source + ": " + std::string(kScoresKey) + ": expected one entry for each of the " +
                std::to_string(n_tokens) + " tokens, found " + std::to_string(scores->size()));
  }
  return scores;
}

/// Phi-3's tokens take white space behind them along, which its GGUF files do not say: llama.cpp
/// goes by the model's name.
bool takes_spaces_along(const Gguf& gguf, std::string_view token) {
  const auto* const name = gguf.find_value<std::string>("general.name");
  if (name == nullptr) return false;
  std::string small;
  for (const char c : *name)
    small += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const bool is_phi3 =
      small.find("phi-3") != std::string::npos || small.find("phi3") != std::string::npos;
  return is_phi3 && token != "<unk>" && token != "<s>" && token != "<|endoftext|>";
}

void read_byte_level(const Gguf& gguf, const std::string& source, TokenizerDefinition& definition) {
  NamedPretokenizer pretokenizer = read_pretokenizer(gguf, source, definition);
  definition.pretokenizer = std::move(pretokenizer.steps);
  definition.ignores_merges = pretokenizer.ignores_merges;
  definition.adds_bos = pretokenizer.adds_bos;
  definition.merges = read_merges(gguf, source);
}

/// SentencePiece's byte-pair encoding: scores instead of merges, no pre-tokenizer, and a space
/// before each text that follows a special token or nothing.
void read_sentencepiece(const Gguf& gguf, const std::vector<double>* scores,
                        const std::string& source, TokenizerDefinition& definition) {
  const std::size_t n_tokens = definition.vocabulary.size();
  definition.model = TokenModel::scored_merges;
  definition.scores = scores == nullptr ? std::vector<double>(n_tokens, 0.0) : *scores;
  for (std::size_t id = 0; id < n_tokens; ++id) {
    if (!std::isfinite(definition.scores[id])) {
      throw Error(source + ": " + std::string(kScoresKey) + ": token " + std::to_string(id) +
                  ": expected a finite number, found " + std::to_string(definition.scores[id]));
    }
  }
  definition.byte_fallback = byte_fallback_of(definition.vocabulary);
  const auto* const adds_prefix = gguf.find_value<bool>("tokenizer.ggml.add_space_prefix");
  if (adds_prefix == nullptr || *adds_prefix) {
    definition.normalizer.emplace_back(Prepend{std::string(kSpelledSpace)});
  }
  definition.normalizer.emplace_back(Replace{" ", std::string(kSpelledSpace)});
  // What SentencePiece's own ids are, where the file does not say.
  constexpr std::string_view kUnknownKey = "tokenizer.ggml.unknown_token_id";
  definition.unknown = read_id(gguf, kUnknownKey).value_or(0);
  if (static_cast<std::size_t>(*definition.unknown) >= n_tokens) {
    throw Error(source + ": " + std::string(kUnknownKey) + ": expected an id below the " +
                std::to_string(n_tokens) + " tokens, found " + std::to_string(*definition.unknown));
  }
  definition.adds_bos = true;
  if (n_tokens > 1) definition.bos = 1;
}

}  // namespace

TokenizerDefinition read_tokenizer(const Gguf& gguf, const std::string& source) {
  const auto& model = gguf.at<std::string>(kModelKey);
  if (model != "gpt2" && model != "llama") {
    throw Error(source + ": " + std::string(kModelKey) +
                ": expected 'gpt2' (byte-level byte-pair encoding) or 'llama' (SentencePiece's), "
                "found " +
                quote(model) + "; a Hugging Face folder of the model may have one that is read");
  }
  TokenizerDefinition definition;
  definition.source = source;
  definition.byte_level = model == "gpt2";

  const std::vector<std::string> tokens = read_tokens(gguf, source);
  const std::vector<double>* scores = read_scores(gguf, tokens.size(), source);
  const std::vector<TokenType> types = read_types(gguf, tokens, definition.byte_level, source);
  const std::set<std::string_view> control = control_spellings(gguf);
  definition.vocabulary.assign(tokens.begin(), tokens.end());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const bool special = types[id] == TokenType::control || types[id] == TokenType::unknown ||
                         control.contains(tokens[id]);
    if (special || types[id] == TokenType::user_defined) {
      definition.added_tokens.push_back({.content = tokens[id],
                                         .id = static_cast<TokenId>(id),
                                         .special = special,
                                         .rstrip = takes_spaces_along(gguf, tokens[id])});
    }
    if (types[id] == TokenType::unused) definition.unused.push_back(static_cast<TokenId>(id));
  }
  if (definition.byte_level) {
    read_byte_level(gguf, source, definition);
  } else {
    read_sentencepiece(gguf, scores, source, definition);
  }

  if (const auto bos = read_id(gguf, "tokenizer.ggml.bos_token_id")) definition.bos = bos;
  const auto* const adds_bos = gguf.find_value<bool>("tokenizer.ggml.add_bos_token");
  if (adds_bos != nullptr) definition.adds_bos = *adds_bos;
  return definition;
}

}  // namespace longshadow
