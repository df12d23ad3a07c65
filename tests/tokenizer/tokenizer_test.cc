#include "engine/tokenizer/tokenizer.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/error_of.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

using nlohmann::json;
using test::from_gguf;
using test::from_json;
using test::gguf_of;
using test::ids_of;
using test::tokenizer_fixture;

std::vector<std::string> slices(std::string_view text, std::span<const Token> tokens) {
  std::vector<std::string> slices;
  for (const Token& token : tokens) {
    slices.emplace_back(text.substr(token.begin, token.end - token.begin));
  }
  return slices;
}

std::vector<test::NastyText> all_nasty_texts() {
  std::vector<test::NastyText> texts = test::nasty_texts(/*utf8=*/true);
  const std::vector<test::NastyText> invalid = test::nasty_texts(/*utf8=*/false);
  REQUIRE(invalid.size() >= 10);
  texts.insert(texts.end(), invalid.begin(), invalid.end());
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  texts.push_back({"every byte", every_byte});
  return texts;
}

/// For a tokenizer that neither normalises nor lacks bytes: the tokens tile the text, and each
/// stands for exactly the bytes at its place.
void check_tiling(const Tokenizer& tokenizer, const test::NastyText& text, SpecialTokens special) {
  INFO(text.name);
  std::size_t at = 0;
  const std::vector<Token> tokens = tokenizer.encode(text.bytes, special);
  for (const Token& token : tokens) {
    REQUIRE(token.begin == at);
    REQUIRE(token.end > token.begin);
    at = token.end;
    CHECK(tokenizer.decode({&token.id, 1}) ==
          text.bytes.substr(token.begin, token.end - token.begin));
  }
  CHECK(at == text.bytes.size());
  CHECK(tokenizer.decode(ids_of(tokens)) == text.bytes);
}

TEST_CASE("without normalisation the tokens tile any bytes and decode to them") {
  for (const std::string& name : test::kSmallTokenizers) {
    INFO(name);
    const json definition = tokenizer_fixture(name + ".json");
    const Tokenizer tokenizer = from_gguf(gguf_of(definition, name));
    for (const test::NastyText& text : all_nasty_texts()) {
      check_tiling(tokenizer, text, SpecialTokens::as_text);
      check_tiling(tokenizer, text, SpecialTokens::parse);
    }
  }
}

TEST_CASE("a character cut by tokens is cut where its bytes are") {
  json definition = tokenizer_fixture("gpt-2.json");
  definition["model"]["merges"] = json::array();
  const Tokenizer tokenizer = from_json(definition);
  const std::string text = "a\u00e9";
  CHECK(slices(text, tokenizer.encode(text)) == std::vector<std::string>{"a", "\xc3", "\xa9"});
}

TEST_CASE("bytes that are no UTF-8 split as one strange character would and keep their value") {
  const Tokenizer tokenizer = from_json(tokenizer_fixture("gpt-2.json"));
  const auto token_of = [&](const std::string& byte) {
    const std::vector<TokenId> ids = ids_of(tokenizer, byte);
    REQUIRE(ids.size() == 1);
    return ids[0];
  };
  const std::vector<TokenId> ids = ids_of(tokenizer, "the\xffthe");
  CHECK(ids == std::vector<TokenId>{token_of("the"), token_of("\xff"), token_of("the")});
  // U+FFFD itself is three ordinary bytes.
  CHECK(tokenizer.decode(ids_of(tokenizer, "\ufffd\xef\ufffd")) == "\ufffd\xef\ufffd");
}

TEST_CASE("offsets point into the text before normalisation") {
  json definition = tokenizer_fixture("qwen2.json");
  definition["model"]["merges"] = json::array();
  const Tokenizer tokenizer = from_json(definition);

  // e + U+0301 becomes one character of two bytes, and either byte stands for all three.
  const std::string decomposed = "xe\u0301y";
  CHECK(slices(decomposed, tokenizer.encode(decomposed)) ==
        std::vector<std::string>{"x", "e\u0301", "e\u0301", "y"});
  CHECK(tokenizer.decode(ids_of(tokenizer, decomposed)) == "x\u00e9y");

  // What stays as it is keeps its own bytes, also behind what was composed.
  const std::string plain = "e\u0301\u00e9";
  CHECK(slices(plain, tokenizer.encode(plain)) ==
        std::vector<std::string>{"e\u0301", "e\u0301", "\xc3", "\xa9"});

  // The dot below goes before the dot above, and composes with d across it.
  const std::string reordered = "d\u0307\u0323";
  const std::vector<Token> tokens = tokenizer.encode(reordered);
  CHECK(tokenizer.decode(ids_of(tokens)) == "\u1e0d\u0307");
  REQUIRE(tokens.size() == 5);
  CHECK(tokens[0].begin == 0);
  CHECK(tokens[0].end == 5);
  CHECK(tokens[3].begin == 1);
  CHECK(tokens[4].end == 3);

  // Three jamo become one syllable.
  const std::string jamo = "\u1112\u1161\u11ab";
  for (const Token& token : tokenizer.encode(jamo)) {
    CHECK(token.begin == 0);
    CHECK(token.end == jamo.size());
  }

  // A byte that is no UTF-8 keeps a mark from the letter before it.
  const std::string invalid = "e\xff\u0301";
  CHECK(tokenizer.decode(ids_of(tokenizer, invalid)) == invalid);
}

TEST_CASE("a special token's spelling is text unless it is asked for") {
  const Tokenizer tokenizer = from_json(tokenizer_fixture("smollm.json"));
  const std::string text = "a<|im_end|>b";
  const std::vector<Token> parsed = tokenizer.encode(text, SpecialTokens::parse);
  REQUIRE(parsed.size() == 3);
  CHECK(parsed[1].id == 2);
  CHECK(parsed[1].begin == 1);
  CHECK(parsed[1].end == 11);
  for (const Token& token : tokenizer.encode(text)) CHECK(token.id > 2);
}

TEST_CASE("added tokens have offsets with the white space they take along") {
  json definition = tokenizer_fixture("gpt-2.json");
  definition["added_tokens"].push_back({{"id", 700},
                                        {"content", "<mask>"},
                                        {"special", false},
                                        {"single_word", false},
                                        {"lstrip", true},
                                        {"rstrip", true},
                                        {"normalized", false}});
  const Tokenizer tokenizer = from_json(definition);
  CHECK(tokenizer.vocab_size() == 701);
  const std::string text = "x \u3000<mask>\n\ny";
  CHECK(slices(text, tokenizer.encode(text)) ==
        std::vector<std::string>{"x", " \u3000<mask>\n\n", "y"});
  CHECK(tokenizer.decode(ids_of(tokenizer, text)) == "x<mask>y");

  // What one has taken the next cannot.
  const std::string twice = "<mask>  <mask>";
  CHECK(slices(twice, tokenizer.encode(twice)) == std::vector<std::string>{"<mask>  ", "<mask>"});
}

TEST_CASE("a space put in front of the text stands for none of its bytes") {
  json definition = tokenizer_fixture("gpt-2.json");
  definition["pre_tokenizer"]["add_prefix_space"] = true;
  definition["model"]["merges"] = json::array();
  const Tokenizer tokenizer = from_json(definition);
  const std::vector<Token> tokens = tokenizer.encode("ab");
  REQUIRE(tokens.size() == 3);
  CHECK(tokens[0].begin == 0);
  CHECK(tokens[0].end == 0);
  CHECK(tokens[1].begin == 0);
  CHECK(tokens[2].end == 2);
  CHECK(tokenizer.encode("").empty());
}

TEST_CASE("a byte without a token stands for nothing, and merges do not reach across it") {
  json definition = tokenizer_fixture("gpt-2.json");
  definition["model"]["vocab"] = {{"<|endoftext|>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}};
  definition["model"]["merges"] = {"a b"};
  const Tokenizer tokenizer = from_json(definition);
  const std::string text = "abxab axb";
  CHECK(slices(text, tokenizer.encode(text)) == std::vector<std::string>{"ab", "ab", "a", "b"});
}

TEST_CASE("the long s contracts as in the reference of each format") {
  // 's with U+017F for s is a piece of its own where case folds as Unicode folds it, as in the
  // `tokenizers` package; llama.cpp folds ASCII alone, and x joins it.
  json definition = tokenizer_fixture("llama-bpe.json");
  definition["model"]["vocab"] = {{"'", 0}, {"\u00c5", 1}, {"\u00bf", 2}, {"x", 3}, {"\u00bfx", 4}};
  definition["model"]["merges"] = {"\u00bf x"};
  definition["added_tokens"].erase(1);
  definition["added_tokens"][0]["id"] = 5;
  definition["post_processor"] = nullptr;
  const std::string text = "'\u017fx";
  CHECK(ids_of(from_json(definition), text) == std::vector<TokenId>{0, 1, 2, 3});
  CHECK(ids_of(from_gguf(gguf_of(definition, "llama-bpe")), text) == std::vector<TokenId>{0, 1, 4});
}

TEST_CASE("both formats say whether a beginning-of-sequence token is added") {
  const json llama = tokenizer_fixture("llama-bpe.json");
  const Tokenizer tokenizer = from_json(llama);
  CHECK(tokenizer.adds_bos());
  CHECK(tokenizer.bos() == 698);
  CHECK(tokenizer.decode(std::vector<TokenId>{698}) == "<|begin_of_text|>");

  Gguf gguf = gguf_of(llama, "llama-bpe");
  CHECK(from_gguf(gguf).adds_bos());  // llama.cpp's default for this pre-tokenizer
  gguf.metadata["tokenizer.ggml.add_bos_token"] = false;
  CHECK_FALSE(from_gguf(gguf).adds_bos());

  const json smollm = tokenizer_fixture("smollm.json");
  CHECK_FALSE(from_json(smollm).adds_bos());
  CHECK_FALSE(from_json(smollm).bos().has_value());
  gguf = gguf_of(smollm, "smollm");
  CHECK_FALSE(from_gguf(gguf).adds_bos());
  gguf.metadata["tokenizer.ggml.add_bos_token"] = true;
  CHECK(from_gguf(gguf).adds_bos());
}

TEST_CASE("decoding an id that no token has is an error") {
  const Tokenizer tokenizer = from_json(tokenizer_fixture("gpt-2.json"));
  for (const TokenId id : {-1, 700, 1 << 30}) {
    CHECK_THAT(test::error_of([&] {
                 (void)tokenizer.decode({&id, 1});
               }),
               Catch::Contains("token id " + std::to_string(id)));
  }
}

}  // namespace
}  // namespace longshadow
