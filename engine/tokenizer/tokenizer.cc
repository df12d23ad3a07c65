#include "engine/tokenizer/tokenizer.h"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include "engine/core/error.h"
#include "engine/text/aligned_text.h"
#include "engine/text/utf8.h"
#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/definition/split_between_tokens.h"
#include "engine/tokenizer/definition/tokenizer_definition.h"
#include "engine/tokenizer/encoding/byte_pair_encoding.h"
#include "engine/tokenizer/encoding/scored_encoding.h"
#include "engine/tokenizer/encoding/unigram_encoding.h"
#include "engine/tokenizer/encoding/vocabulary.h"
#include "engine/tokenizer/normalizer.h"
#include "engine/tokenizer/pretokenizer.h"

namespace longshadow {
namespace {

/// The added tokens that are looked for before normalisation, or after it.
AddedTokens added_tokens_of(const TokenizerDefinition& definition, const Normalizer& normalizer,
                            bool after_normalization) {
  std::vector<AddedToken> tokens;
  std::set<std::string> spellings;
  for (AddedToken token : definition.added_tokens) {
    const bool is_after = token.normalized && !normalizer.is_empty();
    if (is_after != after_normalization) continue;
    if (is_after) {
      token.content =
          normalizer.normalize(as_utf8(token.content, {0, token.content.size()})).bytes();
    }
    // Normalised, a spelling may be empty or another's.
    const bool is_new = spellings.insert(token.content).second;
    if (is_new && !token.content.empty()) tokens.push_back(std::move(token));
  }
  return AddedTokens(std::move(tokens));
}

std::vector<PretokenizerStep> pretokenizer_steps(const TokenizerDefinition& definition) {
  std::vector<PretokenizerStep> steps = definition.pretokenizer;
  if (const auto split = split_between_tokens(definition)) steps.emplace_back(*split);
  return steps;
}

using Encoding = std::variant<BytePairEncoding, ScoredEncoding, UnigramEncoding>;

Encoding encoding_of(const TokenizerDefinition& definition, const Vocabulary& vocabulary) {
  switch (definition.model) {
    case TokenModel::scored_merges:
      return ScoredEncoding(vocabulary, definition.scores);
    case TokenModel::unigram:
      return UnigramEncoding(definition.vocabulary, definition.scores, definition.unknown);
    default:
      return BytePairEncoding(resolve_merges(definition, vocabulary));
  }
}

}  // namespace

struct Tokenizer::Implementation {
  explicit Implementation(TokenizerDefinition definition);

  /// Encodes one text. Words repeat, so each is merged once and remembered for the text's length.
  class Encoder;

  std::vector<Piece> pieces_of(const std::string& word) const;

  Vocabulary vocabulary;
  Normalizer normalizer;
  AddedTokens added_before_normalization;
  AddedTokens added_after_normalization;
  Pretokenizer pretokenizer;
  bool ignores_merges;
  Encoding encoding;
  std::optional<TokenId> unknown;
  bool fuses_unknown;
  std::vector<TokenId> unused;  // ascending
  std::optional<TokenId> bos;
  bool adds_bos;
  std::string no_bos;  ///< why there is no beginning-of-sequence token, where there is none
  std::vector<std::string> warnings;
};

Tokenizer::Implementation::Implementation(TokenizerDefinition definition)
    : vocabulary(definition),
      normalizer(definition.normalizer, definition.source),
      added_before_normalization(added_tokens_of(definition, normalizer, false)),
      added_after_normalization(added_tokens_of(definition, normalizer, true)),
      pretokenizer(pretokenizer_steps(definition), definition.source),
      ignores_merges(definition.ignores_merges),
      encoding(encoding_of(definition, vocabulary)),
      unknown(definition.unknown),
      fuses_unknown(definition.fuses_unknown),
      unused(std::move(definition.unused)),
      bos(definition.bos),
      adds_bos(definition.adds_bos),
      warnings(std::move(definition.warnings)) {
  if (!bos) {
    no_bos = definition.source + ": this tokenizer has no beginning-of-sequence token";
  } else if (vocabulary.bytes_of(*bos) == nullptr) {
    no_bos = definition.source + ": the beginning-of-sequence token's id " + std::to_string(*bos) +
             " names none of the " + std::to_string(vocabulary.size()) + " tokens";
    if (!adds_bos) warnings.push_back(no_bos);  // else required_bos() says so
    bos.reset();
  }
}

std::vector<Piece> Tokenizer::Implementation::pieces_of(const std::string& word) const {
  if (ignores_merges) {
    if (const auto whole = vocabulary.find(word)) return {{*whole, word.size()}};
  }
  if (const auto* merges = std::get_if<BytePairEncoding>(&encoding)) {
    return merges->encode(vocabulary.with_byte_fallback(vocabulary.characters_of(word), word));
  }
  const auto* const scored = std::get_if<ScoredEncoding>(&encoding);
  const std::vector<Piece> pieces =
      scored != nullptr ? scored->encode(word) : std::get<UnigramEncoding>(encoding).encode(word);
  return vocabulary.with_byte_fallback(pieces, word);
}

class Tokenizer::Implementation::Encoder {
 public:
  Encoder(const Implementation& tokenizer, std::string_view text, SpecialTokens special)
      : tokenizer_(tokenizer), text_(text), special_(special) {}

  std::vector<Token> encode(Extent extent) {
    const auto sections = tokenizer_.added_before_normalization.split(text_, special_, extent);
    for (const auto& section : sections) {
      if (section.id) {
        tokens_.push_back({*section.id, section.range.begin, section.range.end});
      } else {
        encode_between(section.range, extent_of(section, sections, extent));
      }
    }
    return std::move(tokens_);
  }

 private:
  /// Longer words repeat too rarely to be remembered: a tokenizer may take a whole text for one.
  static constexpr std::size_t kLongestRemembered = 256;

  using Pieces = std::vector<Piece>;

  /// Of a text that goes on, the last section does; those before it are whole.
  static Extent extent_of(const AddedTokens::Section& section,
                          const std::vector<AddedTokens::Section>& sections, Extent of_all) {
    return &section == &sections.back() ? of_all : Extent::whole;
  }

  void encode_between(Range range, Extent extent) {
    AlignedText text = as_utf8(text_, range);
    text = tokenizer_.normalizer.normalize(std::move(text), extent);
    const auto sections =
        tokenizer_.added_after_normalization.split(text.bytes(), special_, extent);
    for (const auto& section : sections) {
      if (section.id) {
        push(*section.id, text.source_of(section.range));
      } else {
        AlignedText plain;
        plain.append(text, section.range);
        encode_plain(std::move(plain), extent_of(section, sections, extent));
      }
    }
  }

  void encode_plain(AlignedText text, Extent extent) {
    std::vector<Range> words = tokenizer_.pretokenizer.split(text, extent);
    text = restore_invalid_bytes(text, text_, words);
    for (const Range word : words) {
      std::size_t begin = word.begin;
      bool unknown_before = false;
      for (const auto& [id, bytes] : pieces_of(text.bytes().substr(word.begin, word.size()))) {
        const Range source = text.source_of({begin, begin + bytes});
        const bool is_unknown = id == kNoToken;
        if (!is_unknown) {
          push(id, source);
        } else if (tokenizer_.unknown && unknown_before && tokenizer_.fuses_unknown) {
          tokens_.back().end = source.end;
        } else if (tokenizer_.unknown) {
          push(*tokenizer_.unknown, source);
        }
        unknown_before = is_unknown;
        begin += bytes;
      }
    }
  }

  const Pieces& pieces_of(const std::string& word) {
    if (word.size() > kLongestRemembered) return pieces_of_long_word_ = tokenizer_.pieces_of(word);
    const auto [entry, is_new] = pieces_of_word_.try_emplace(word);
    if (is_new) entry->second = tokenizer_.pieces_of(word);
    return entry->second;
  }

  void push(TokenId id, Range source) { tokens_.push_back({id, source.begin, source.end}); }

  const Implementation& tokenizer_;
  const std::string_view text_;
  const SpecialTokens special_;
  std::unordered_map<std::string, Pieces> pieces_of_word_;
  Pieces pieces_of_long_word_;
  std::vector<Token> tokens_;
};

Tokenizer::Tokenizer(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::from_gguf(const Gguf& gguf, const std::string& source) {
  return Tokenizer(std::make_unique<Implementation>(read_tokenizer(gguf, source)));
}

Tokenizer Tokenizer::from_json(std::span<const std::byte> tokenizer_json,
                               const std::string& source) {
  return Tokenizer(std::make_unique<Implementation>(read_tokenizer(tokenizer_json, source)));
}

Tokenizer Tokenizer::from_sentencepiece(std::span<const std::byte> model,
                                        const std::string& source) {
  return Tokenizer(std::make_unique<Implementation>(read_sentencepiece_model(model, source)));
}

std::vector<Token> Tokenizer::encode(std::string_view text, SpecialTokens special) const {
  return Implementation::Encoder(*implementation_, text, special).encode(Extent::whole);
}

std::vector<Token> Tokenizer::encode_beginning(std::string_view beginning,
                                               SpecialTokens special) const {
  // A character that is cut off would look like bytes that are no UTF-8.
  beginning.remove_suffix(incomplete_bytes(beginning));
  return Implementation::Encoder(*implementation_, beginning, special).encode(Extent::beginning);
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  std::string text;
  for (const TokenId id : ids) {
    const std::string* bytes = implementation_->vocabulary.bytes_of(id);
    if (bytes == nullptr) {
      throw Error("token id " + std::to_string(id) + " cannot be decoded: it names none of the " +
                  std::to_string(vocab_size()) + " tokens");
    }
    text += *bytes;
  }
  return text;
}

std::size_t Tokenizer::vocab_size() const { return implementation_->vocabulary.size(); }

bool Tokenizer::is_unused(TokenId id) const {
  const auto& unused = implementation_->unused;
  return implementation_->vocabulary.bytes_of(id) == nullptr ||
         std::binary_search(unused.begin(), unused.end(), id);
}

std::optional<TokenId> Tokenizer::bos() const { return implementation_->bos; }
bool Tokenizer::adds_bos() const { return implementation_->adds_bos; }
TokenId Tokenizer::required_bos() const {
  if (!bos()) {
    throw Error(implementation_->no_bos +
                ", and the text is to begin with it; `bos` no leaves it out");
  }
  return *bos();
}

const std::vector<std::string>& Tokenizer::warnings() const { return implementation_->warnings; }

}  // namespace longshadow
