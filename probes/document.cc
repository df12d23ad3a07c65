#include "probes/document.h"

#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/io/mapped_file.h"

namespace longshadow {

std::vector<TokenId> Document::ids(std::size_t count) const {
  std::vector<TokenId> first;
  for (std::size_t i = 0; i < count; ++i) first.push_back(tokens[i].id);
  return first;
}

Document read_document(const std::filesystem::path& path, const Tokenizer& tokenizer,
                       SpecialTokens special, BosPolicy bos) {
  const MappedFile file(path);
  const std::string text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  Document document{path.filename().string(), text, sha256_hex(file.bytes()),
                    tokenizer.encode(text, special)};
  if (bos == BosPolicy::yes || (bos == BosPolicy::as_tokenizer_says && tokenizer.adds_bos())) {
    document.tokens.insert(document.tokens.begin(), Token{tokenizer.required_bos(), 0, 0});
  }
  return document;
}

}  // namespace longshadow
