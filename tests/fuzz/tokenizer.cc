// A tokenizer.json, and behind a NUL a text that it encodes.
#include "engine/tokenizer/tokenizer.h"

#include "engine/core/error.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longshadow;
  const auto [definition, text] = fuzz::halves_of(fuzz::text_of(data, size));
  fuzz::answers<Error>([&, definition = definition, text = text] {
    const Tokenizer tokenizer =
        Tokenizer::from_json(std::as_bytes(std::span(definition)), "tokenizer.json");
    for (const SpecialTokens special : {SpecialTokens::as_text, SpecialTokens::parse}) {
      std::vector<TokenId> ids;
      for (const Token& token : tokenizer.encode(text, special)) {
        fuzz::require(token.begin <= token.end && token.end <= text.size());
        ids.push_back(token.id);
      }
      tokenizer.decode(ids);
      const std::size_t half = text.size() / 2;
      for (const std::size_t cut : {half, text.size()}) {
        const auto first = tokenizer.encode_beginning(text.substr(0, cut), special);
        fuzz::require(first.size() <= ids.size());
        for (std::size_t i = 0; i < first.size(); ++i) fuzz::require(first[i].id == ids[i]);
      }
    }
  });
  return 0;
}
