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

/// Byte-level byte-pair encoding (Sennrich et al. 2016; GPT-2's byte alphabet).
class Tokenizer {
 public:
  /// Throws Error naming the key where the definition is malformed or not supported.
  static Tokenizer from_gguf(const Gguf& gguf, const std::string& source);
  static Tokenizer from_json(std::span<const std::byte> tokenizer_json, const std::string& source);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Any bytes are accepted, invalid UTF-8 too. Adds no beginning-of-sequence token.
  std::vector<Token> encode(std::string_view text,
                            SpecialTokens special = SpecialTokens::as_text) const;
  /// The exact bytes of the tokens, one after the other.
  std::string decode(std::span<const TokenId> ids) const;

  std::size_t vocab_size() const;
  std::optional<TokenId> bos() const;
  std::optional<TokenId> eos() const;
  /// Whether the tokenizer's own settings put bos() before a text.
  bool adds_bos() const;
  /// The Jinja chat template the model ships, empty where there is none.
  const std::string& chat_template() const;

 private:
  struct Implementation;
  explicit Tokenizer(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace longshadow
