#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/io/byte_pair_encoding.h"
#include "engine/io/tokenizer_definition.h"

namespace longshadow {

/// The tokens of a byte-level tokenizer and the bytes each stands for.
class Vocabulary {
 public:
  /// Throws Error where two tokens share a spelling or an id, or the unknown token's id names none.
  explicit Vocabulary(const TokenizerDefinition& definition);

  /// One more than the largest id.
  std::size_t size() const { return bytes_.size(); }
  /// nullptr where no token has that id. An added token's bytes are its content; a spelling outside
  /// the byte alphabet stands for its own bytes.
  const std::string* bytes_of(TokenId id) const;
  /// The token that the byte alphabet spells with exactly these bytes.
  std::optional<TokenId> find(std::string_view bytes) const;
  /// The token of each single byte, BytePairEncoding::kNoToken where there is none.
  std::array<TokenId, 256> byte_tokens() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view bytes) const {
      return std::hash<std::string_view>{}(bytes);
    }
  };

  std::vector<std::optional<std::string>> bytes_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
};

/// Throws Error where a part or the result of a merge is not in the vocabulary, or a merge is
/// repeated: implementations differ on which rank counts.
std::vector<BytePairEncoding::Merge> resolve_merges(const TokenizerDefinition& definition,
                                                    const Vocabulary& vocabulary);

}  // namespace longshadow
