// Prints the token ids of each file, a line a file, for tests/parity/compare_token_ids.py:
//
//   print_token_ids VOCABULARY.gguf|tokenizer.json|tokenizer.model as_text|parse FILE...

#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>

#include "engine/io/gguf.h"
#include "engine/io/mapped_file.h"
#include "engine/tokenizer/tokenizer.h"

namespace longshadow {
namespace {

Tokenizer tokenizer_of(std::span<const std::byte> bytes, const std::string& name) {
  if (name.ends_with(".json")) return Tokenizer::from_json(bytes, name);
  if (name.ends_with(".model")) return Tokenizer::from_sentencepiece(bytes, name);
  return Tokenizer::from_gguf(parse_gguf(bytes, name), name);
}

void print_ids(const Tokenizer& tokenizer, const char* path, SpecialTokens special) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  for (const Token& token : tokenizer.encode(text, special)) std::printf("%d ", token.id);
  std::printf("\n");
}

}  // namespace
}  // namespace longshadow

int main(int n_words, char** words) {
  using namespace longshadow;
  if (n_words < 3) {
    std::fprintf(stderr, "usage: print_token_ids VOCABULARY as_text|parse FILE...\n");
    return 2;
  }
  try {
    const MappedFile file(words[1]);
    const Tokenizer tokenizer = tokenizer_of(file.bytes(), words[1]);
    const bool parses = std::strcmp(words[2], "parse") == 0;
    for (int k = 3; k < n_words; ++k) {
      print_ids(tokenizer, words[k], parses ? SpecialTokens::parse : SpecialTokens::as_text);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
