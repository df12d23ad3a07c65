#include "probes/documents/document.h"

#include <algorithm>
#include <optional>

#include "engine/core/error.h"
#include "engine/part_of_speech/words/words.h"
#include "probes/documents/document_source.h"

namespace longshadow {
namespace {

/// The first `count` tokens of the text, or all.
std::vector<Token> first_tokens(DocumentSource& source, const std::string& path,
                                const Tokenizer& tokenizer, SpecialTokens special,
                                std::size_t count) {
  // Most texts have fewer bytes a token. Where more are needed, all is encoded anew with twice as
  // many: in sum as much again as the last time.
  constexpr std::size_t kBytesPerToken = 8;
  constexpr std::size_t kLeastBytes = std::size_t{16} << 10;
  constexpr std::size_t kMostTokens = std::size_t{1} << 40;  // more than any file has
  std::size_t bytes = std::max(kLeastBytes, kBytesPerToken * std::min(count, kMostTokens));
  for (;; bytes *= 2) {
    source.read_to(bytes);
    std::vector<Token> tokens;
    const bool is_all = source.is_whole() && bytes >= source.text().size();
    if (is_all) {
      tokens = tokenizer.encode(source.text(), special);
    } else {
      tokens = tokenizer.encode_beginning(source.text().substr(0, bytes), special);
    }
    if (is_all || tokens.size() >= count) {
      tokens.resize(std::min(tokens.size(), count));
      return tokens;
    }
    const std::size_t reached = tokens.empty() ? 0 : tokens.back().end;
    if (bytes - reached >= kLongestWordBytes) {
      throw Error(path + ": expected words of less than " +
                  std::to_string(kLongestWordBytes >> 20) + " MiB, found a longer one at byte " +
                  std::to_string(source.mark_bytes() + reached) +
                  "; white space in it would part it");
    }
  }
}

}  // namespace

std::vector<TokenId> Document::ids(std::size_t count) const {
  std::vector<TokenId> first;
  for (std::size_t i = 0; i < count; ++i) first.push_back(tokens[i].id);
  return first;
}

Document read_document(const std::string& path, const std::string& name, const Tokenizer& tokenizer,
                       SpecialTokens special, BosPolicy bos, std::size_t n_tokens) {
  const bool has_bos =
      bos == BosPolicy::yes || (bos == BosPolicy::as_tokenizer_says && tokenizer.adds_bos());
  std::optional<TokenId> first;
  if (has_bos) first = tokenizer.required_bos();
  DocumentSource source(path);
  const std::size_t n_text_tokens = n_tokens - std::min<std::size_t>(n_tokens, has_bos ? 1 : 0);
  Document document{name, {}, {}, first_tokens(source, path, tokenizer, special, n_text_tokens)};
  const std::size_t wanted = document.tokens_end() + kTextBehind;
  source.read_to(wanted);
  document.text = source.text().substr(0, wanted);
  document.is_whole = source.is_whole() && document.text.size() == source.text().size();
  document.mark_bytes = source.mark_bytes();
  document.source_sha256 = source.finish();
  if (first) document.tokens.insert(document.tokens.begin(), Token{*first, 0, 0});
  return document;
}

}  // namespace longshadow
