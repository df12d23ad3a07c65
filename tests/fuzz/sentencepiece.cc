// A SentencePiece model, which encodes a text of its own pieces and others.
#include "engine/core/error.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  fuzz::answers<Error>([&] {
    const Tokenizer tokenizer =
        Tokenizer::from_sentencepiece(fuzz::bytes_of(data, size), "tokenizer.model");
    const std::string_view text = "  a b\xc3\xa9  ab\xff <s> \n";
    std::vector<TokenId> ids;
    for (const Token& token : tokenizer.encode(text)) {
      fuzz::require(token.begin <= token.end && token.end <= text.size());
      ids.push_back(token.id);
    }
    tokenizer.decode(ids);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      const auto first = tokenizer.encode_beginning(text.substr(0, cut));
      fuzz::require(first.size() <= ids.size());
      for (std::size_t i = 0; i < first.size(); ++i) fuzz::require(first[i].id == ids[i]);
    }
  });
  return 0;
}
