#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/io/tokenizer.h"

namespace longshadow {

/// What becomes of a pattern's matches when they split a text (the `tokenizers` package's names).
enum class SplitBehavior {
  removed,               ///< matches are dropped
  isolated,              ///< each match is a piece
  merged_with_previous,  ///< a match ends the piece before it
  merged_with_next,      ///< a match begins the piece behind it
  contiguous,            ///< neighbouring matches are one piece
};

/// Splits each piece at the matches of `pattern`, or, inverted, at what lies between them.
struct SplitRule {
  std::string pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;
};

/// Puts a space before each piece that does not start with one.
struct PrefixSpace {};

using PretokenizerStep = std::variant<SplitRule, PrefixSpace>;

/// A token found by its spelling in the text before anything else is looked at.
struct AddedToken {
  std::string content;
  TokenId id;
  bool special = false;      ///< SpecialTokens::as_text leaves it to the other tokens
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< and the white space behind it
  bool normalized = false;   ///< is looked for in the normalised text
};

/// A byte-level tokenizer as its file defines it, whichever format the file has.
struct TokenizerDefinition {
  std::string source;  ///< names the file in error messages

  /// Spellings in the byte alphabet by id; ids may have holes.
  std::vector<std::optional<std::string>> vocabulary;
  /// Spellings of the two parts, best merge first.
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<AddedToken> added_tokens;

  bool normalizes_nfc = false;
  std::vector<PretokenizerStep> pretokenizer;
  /// A pre-token that is in the vocabulary as a whole is that token, whatever the merges say.
  bool ignores_merges = false;
  std::optional<TokenId> unknown;  ///< for a byte that has no token; without it, none stands there
  bool fuses_unknown = false;      ///< one unknown token for neighbouring such bytes

  std::optional<TokenId> bos;  ///< may be no token's id, which is then as if there were none
  bool adds_bos = false;
};

/// GPT-2's pre-tokenizer (Radford et al. 2019).
inline constexpr char kGpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Throw Error naming the key where the definition is malformed or not supported.
TokenizerDefinition read_tokenizer(const Gguf& gguf, const std::string& source);
TokenizerDefinition read_tokenizer(std::span<const std::byte> tokenizer_json,
                                   const std::string& source);

}  // namespace longshadow
