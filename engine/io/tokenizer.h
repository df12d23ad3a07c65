#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/gguf.h"

namespace longshadow {

using TokenId = std::int32_t;

/// One token of an encoded text and the bytes [begin, end) of the text that it stands for. A token
/// that stands for no byte (a beginning-of-sequence token) has begin == end.
struct Token {
  TokenId id;
  std::size_t begin;
  std::size_t end;
};

enum class SpecialTokens {
  as_text,  ///< "<|im_end|>" in a document is eleven characters: a document is data
  parse,    ///< the spelling of a special token is that token
};

/// Byte-level byte-pair encoding (Sennrich et al. 2016; GPT-2's byte alphabet). The ids are those
/// of llama.cpp for a GGUF file and of the `tokenizers` package for a tokenizer.json. An object may
/// be used from several threads at once.
class Tokenizer {
 public:
  /// Throws Error naming the key where the definition is malformed or not supported.
  static Tokenizer from_gguf(const Gguf& gguf, const std::string& source);
  static Tokenizer from_json(std::span<const std::byte> tokenizer_json, const std::string& source);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Adds no beginning-of-sequence token. Any bytes are accepted: one that belongs to no UTF-8
  /// sequence separates words as U+FFFD would and keeps its value (llama.cpp replaces it). A byte
  /// for which the vocabulary has no token (SmolLM2 has none for 21 of them, such as 0x04 and 0xff)
  /// is passed over, as in the reference tokenizers, and nothing merges across it (the `tokenizers`
  /// package does). Where the tokenizer normalises (NFC; GGUF files never say so), tokens of a
  /// composed character each stand for all the bytes it was composed of. Throws Error where a
  /// pattern of the tokenizer gives up.
  std::vector<Token> encode(std::string_view text,
                            SpecialTokens special = SpecialTokens::as_text) const;
  /// The tokens that encode() gives first for every text that begins with `beginning`: those that
  /// nothing behind it can change. All but the last few, unless the beginning ends in one word that
  /// goes on without end.
  std::vector<Token> encode_beginning(std::string_view beginning,
                                      SpecialTokens special = SpecialTokens::as_text) const;
  /// The exact bytes of the tokens, one after the other. Throws Error for an id without a token.
  std::string decode(std::span<const TokenId> ids) const;

  std::size_t vocab_size() const;
  std::optional<TokenId> bos() const;
  /// Whether the tokenizer's own settings put bos() before a text.
  bool adds_bos() const;

 private:
  struct Implementation;
  explicit Tokenizer(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace longshadow
