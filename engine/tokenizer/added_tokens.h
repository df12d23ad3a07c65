#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/core/range.h"
#include "engine/text/aligned_text.h"
#include "engine/text/prefix_tree.h"
#include "engine/tokenizer/definition/tokenizer_definition.h"

namespace longshadow {

/// Finds added tokens in a text: the leftmost, and the longest of those, as the `tokenizers`
/// package does. (llama.cpp looks for the longest spelling first wherever it stands; the two differ
/// only where the end of one token's spelling is the beginning of another's.)
class AddedTokens {
 public:
  /// Spellings are distinct and not empty.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  /// A stretch of the text: an added token, or what lies between two of them.
  struct Section {
    Range range;
    std::optional<TokenId> id;
  };

  /// The sections of `text` in order, none empty. Where the text is only a `beginning`, they end
  /// before anything that could be otherwise with more of it; the last one, unless it is a token,
  /// may go on.
  std::vector<Section> split(std::string_view text, SpecialTokens special,
                             Extent extent = Extent::whole) const;

 private:
  /// The longest token that the text has at a byte, and whether more text could make it longer.
  struct Found {
    const AddedToken* token = nullptr;
    bool is_open = false;
  };
  Found longest_at(std::string_view text, std::size_t at) const;
  bool strips_spaces_before() const;

  std::vector<AddedToken> tokens_;
  PrefixTree spellings_;  ///< of `tokens_`, in their order
};

}  // namespace longshadow
