#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/tokenizer/definition/token.h"

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

/// How vocabularies of texts spell a space: U+2581.
inline constexpr std::string_view kSpelledSpace = "\xe2\x96\x81";

/// Spells spaces as U+2581 and puts one before pieces that do not start with it.
struct SpellSpaces {
  enum class Prefix { always, at_the_beginning, never };  ///< the text's beginning
  Prefix prefix = Prefix::always;
  bool splits = true;  ///< before each
};

using PretokenizerStep = std::variant<SplitRule, PrefixSpace, SpellSpaces>;

/// Unicode's Normalization Forms (UAX #15) that compose: NFC keeps every character's looks, NFKC
/// takes "\uFB01" for "fi" and "\uFF21" for "A".
enum class NormalForm { nfc, nfkc };
/// Brings the text into a normal form.
struct Compose {
  NormalForm form = NormalForm::nfc;
};
/// Takes the white space away that each stretch of text between added tokens begins or ends with.
struct Strip {
  bool left = false;
  bool right = false;
};
/// Puts `text` before each stretch of text between added tokens.
struct Prepend {
  std::string text;
};
/// Puts `content` in the place of each match.
struct Replace {
  std::string pattern;
  std::string content;
};

using NormalizerStep = std::variant<Compose, Strip, Prepend, Replace>;

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

/// How a word's bytes or characters become tokens.
enum class TokenModel {
  merges,         ///< byte-pair encoding by a list of merges (Sennrich, Haddow and Birch 2016)
  scored_merges,  ///< SentencePiece's: two tokens make a third, that of the highest score first
  unigram,        ///< the tokens of the highest sum of scores (Kudo 2018)
};

/// A tokenizer as its file defines it, whichever format the file has.
struct TokenizerDefinition {
  std::string source;  ///< names the file in error messages
  /// What the file leaves out that a user should know of, a line each.
  std::vector<std::string> warnings;

  TokenModel model = TokenModel::merges;
  /// Whether tokens are strings of bytes, or else texts.
  bool byte_level = true;
  /// Spellings by id, in the byte alphabet or as texts; ids may have holes.
  std::vector<std::optional<std::string>> vocabulary;
  /// Spellings of the two parts, best merge first, where the model has merges.
  std::vector<std::pair<std::string, std::string>> merges;
  /// Scores by id, finite, where the model has them.
  std::vector<double> scores;
  /// The token of each single byte, or -1, for characters that are in no token.
  std::optional<std::array<TokenId, 256>> byte_fallback;
  std::vector<AddedToken> added_tokens;
  std::vector<TokenId> unused;  ///< ascending; in the vocabulary, but in no text

  std::vector<NormalizerStep> normalizer;
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
/// SentencePiece's own file, of byte pairs. (Of the unigram model SentencePiece sums scores in f32
/// over a whole text, so that what a word becomes depends on how far into the text it stands.)
TokenizerDefinition read_sentencepiece_model(std::span<const std::byte> model,
                                             const std::string& source);

}  // namespace longshadow
