#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/gguf.h"
#include "engine/tokenizer/definition/token.h"

namespace longshadow {

/// Byte-pair encoding (Sennrich et al. 2016) of bytes (GPT-2's byte alphabet), or of characters
/// with bytes for those that are in no token (SentencePiece; Kudo and Richardson 2018), or the
/// unigram language model (Kudo 2018). The ids are those of llama.cpp for a GGUF file, of the
/// `tokenizers` package for a tokenizer.json and of SentencePiece for its own tokenizer.model. An
/// object may be used from several threads at once.
class Tokenizer {
 public:
  /// Throws Error naming the key where the definition is malformed or not supported.
  static Tokenizer from_gguf(const Gguf& gguf, const std::string& source);
  static Tokenizer from_json(std::span<const std::byte> tokenizer_json, const std::string& source);
  static Tokenizer from_sentencepiece(std::span<const std::byte> model, const std::string& source);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Adds no beginning-of-sequence token. Any bytes are accepted: one that belongs to no UTF-8
  /// sequence separates words as U+FFFD would and keeps its value (llama.cpp replaces it). A byte
  /// for which the vocabulary has no token (SmolLM2 has none for 21 of them, such as 0x04 and 0xff)
  /// is passed over, as in the reference tokenizers, and nothing merges across it (the `tokenizers`
  /// package does). Where the tokenizer normalises (NFC; GGUF files never say so), tokens of a
  /// composed character each stand for all the bytes it was composed of. A space that SentencePiece
  /// puts before a text stands for no byte. Throws Error where a pattern of the tokenizer gives up.
  std::vector<Token> encode(std::string_view text,
                            SpecialTokens special = SpecialTokens::as_text) const;
  /// The tokens that encode() gives first for every text that begins with `beginning`: those that
  /// nothing behind it can change. All but the last few, unless the beginning ends in one word that
  /// goes on without end, as a whole text may be for the unigram model.
  std::vector<Token> encode_beginning(std::string_view beginning,
                                      SpecialTokens special = SpecialTokens::as_text) const;
  /// The exact bytes of the tokens, one after the other, the space before a text among them. Throws
  /// Error for an id without a token.
  std::string decode(std::span<const TokenId> ids) const;

  /// One more than the largest id; not every id below it need name a token.
  std::size_t vocab_size() const;
  /// Whether no text has the token: the id names none, or one that the file calls unused, as
  /// llama.cpp's converter does for the rows with which embedding matrices are padded.
  bool is_unused(TokenId id) const;
  std::optional<TokenId> bos() const;
  /// Whether the tokenizer's own settings put bos() before a text, even where there is none.
  bool adds_bos() const;
  /// bos() for a text that is to begin with it. Throws Error where there is none.
  TokenId required_bos() const;
  /// What the file leaves out or names wrongly that a user should know of and no text needs by
  /// itself, a line each.
  const std::vector<std::string>& warnings() const;

 private:
  struct Implementation;
  explicit Tokenizer(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace longshadow
