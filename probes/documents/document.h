#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/range.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {

/// Whether a beginning-of-sequence token goes before the text.
enum class BosPolicy { as_tokenizer_says, yes, no };

/// One text under one tokenizer, as far as it is wanted.
struct Document {
  std::string name;
  std::string text;  ///< the bytes of its tokens, and kTextBehind more where there are so many
  std::string source_sha256;       ///< of the file, all of it
  std::vector<Token> tokens;       ///< the first ones; their bytes are those of `text`
  bool is_whole = true;            ///< whether `text` is all of it
  std::size_t mark_bytes = 0;      ///< the file's bytes before `text`: a byte-order mark's
  std::vector<Range> sentences{};  ///< their tokens, all in order; none where they are not known

  /// Behind the last token's bytes.
  std::size_t tokens_end() const { return tokens.empty() ? 0 : tokens.back().end; }
  std::vector<TokenId> ids(std::size_t count) const;
};

/// Of a longer word each byte would take a hundred bytes of memory until its first token is known.
inline constexpr std::size_t kLongestWordBytes = std::size_t{8} << 20;

/// The first `n_tokens` tokens of a document, or all that it has: exactly those that the whole text
/// begins with. `path` is read as DocumentSource does, and no more than a part of it that grows
/// with `n_tokens` is ever in memory. Throws Error as DocumentSource does, where a word of a long
/// text has more than kLongestWordBytes, and where a beginning-of-sequence token is asked for and
/// the tokenizer has none.
Document read_document(const std::string& path, const std::string& name, const Tokenizer& tokenizer,
                       SpecialTokens special, BosPolicy bos, std::size_t n_tokens);

}  // namespace longshadow
