#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/definition/tokenizer_definition.h"
#include "engine/tokenizer/encoding/byte_pair_encoding.h"
#include "engine/tokenizer/encoding/symbol_merging.h"

namespace longshadow {

/// The tokens of a tokenizer and the bytes each stands for. Tokens of a byte-level one are strings
/// of bytes, spelled in the byte alphabet; those of another are texts that spell a space as U+2581,
/// and <0x0A> and its like are single bytes.
class Vocabulary {
 public:
  /// Throws Error where two tokens share a spelling or an id, or the unknown token's id names none.
  explicit Vocabulary(const TokenizerDefinition& definition);

  /// One more than the largest id.
  std::size_t size() const { return bytes_.size(); }
  /// nullptr where no token has that id. An added token's bytes are its content; a spelling outside
  /// the byte alphabet stands for its own bytes.
  const std::string* bytes_of(TokenId id) const;
  /// The token of exactly these bytes or, of a vocabulary of texts, this spelling.
  std::optional<TokenId> find(std::string_view bytes) const;
  /// A word's single bytes or, of a vocabulary of texts, characters, each with its token. A byte
  /// that belongs to no well-formed character is one.
  std::vector<Piece> characters_of(std::string_view word) const;
  /// The pieces of `word`, where those without a token are the tokens of their single bytes, if all
  /// of these have one.
  std::vector<Piece> with_byte_fallback(std::span<const Piece> pieces, std::string_view word) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view bytes) const {
      return std::hash<std::string_view>{}(bytes);
    }
  };

  TokenId find_byte(char byte) const;

  bool byte_level_;
  std::optional<std::array<TokenId, 256>> byte_fallback_;
  std::vector<std::optional<std::string>> bytes_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
};

/// Throws Error where a part or the result of a merge is not in the vocabulary, or a merge is
/// repeated: implementations differ on which rank counts.
std::vector<BytePairEncoding::Merge> resolve_merges(const TokenizerDefinition& definition,
                                                    const Vocabulary& vocabulary);

}  // namespace longshadow
