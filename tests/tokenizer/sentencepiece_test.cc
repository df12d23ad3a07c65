// Tokenizers of characters with bytes to fall back to, from both file formats.

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <string>

#include "tests/support/error_of.h"
#include "tests/tokenizer/reference_ids.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::json;
using test::error_of;
using test::ids_of;

constexpr int kByte = 6;  // ggml's type of such a token

json definition() { return test::tokenizer_fixture("sentencepiece.json"); }

Gguf sentencepiece_gguf() { return test::sentencepiece_gguf(definition()); }

// Expected are the ids and places of the tokenizers package, and llama.cpp's ids
// (tests/parity/make_tokenizer_fixtures.py).
TEST_CASE("tokenizers of characters and bytes get the reference tokenizers' ids") {
  const json expected = test::tokenizer_fixture("sentencepiece_ids.json");
  CHECK(expected.size() == test::check_variants("sentencepiece") + 2);
  Gguf gguf = sentencepiece_gguf();
  test::check_digests(test::from_gguf(gguf), expected.at("llama.cpp"));
  gguf.metadata["tokenizer.ggml.add_space_prefix"] = false;
  test::check_digests(test::from_gguf(gguf), expected.at("llama.cpp, no prefix"));
}

TEST_CASE("the bytes of spelled spaces, characters and fallback bytes are the text's own") {
  // "f" and U+0300 are among the tokens' characters, U+1F680 is not; 0xff is in no character.
  const std::string text = " a  caf\xc3\xa9 \xf0\x9f\x9a\x80\xff\n";
  for (const Tokenizer& tokenizer :
       {test::from_json(definition()), test::from_gguf(sentencepiece_gguf())}) {
    test::check_places(tokenizer, text);
    CHECK(tokenizer.decode(ids_of(tokenizer, text)) == " " + text);
    CHECK(tokenizer.encode("").empty());
  }
}

TEST_CASE("a GGUF file's tokenizer of characters has SentencePiece's defaults") {
  Gguf gguf = sentencepiece_gguf();
  const Tokenizer tokenizer = test::from_gguf(gguf);
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.adds_bos());
  CHECK(tokenizer.warnings().empty());
  gguf.metadata["tokenizer.ggml.bos_token_id"] = std::uint64_t{2};
  gguf.metadata["tokenizer.ggml.add_bos_token"] = false;
  CHECK(test::from_gguf(gguf).bos() == 2);
  CHECK_FALSE(test::from_gguf(gguf).adds_bos());
}

TEST_CASE("Phi-3's special tokens take the white space behind them along") {
  Gguf gguf = sentencepiece_gguf();
  const std::string text = "<|im_start|> \n a<|endoftext|> a";
  const auto ends = [&] {
    std::vector<std::size_t> found;
    for (const Token& token : test::from_gguf(gguf).encode(text, SpecialTokens::parse)) {
      if (token.id == 3 || token.id == 4) found.push_back(token.end);
    }
    return found;
  };
  CHECK(ends() == std::vector<std::size_t>{12, 29});
  gguf.metadata["general.name"] = std::string("Phi-3 mini");
  CHECK(ends() == std::vector<std::size_t>{15, 29});
}

// As one word: nothing splits it, and a pair that is searched for anew takes hours.
TEST_CASE("a long text is merged in time", "[long]") {
  std::string text;
  while (text.size() < 5'000'000) text += "The cache forgets what it has seen. ";
  for (const Tokenizer& tokenizer :
       {test::from_json(definition()), test::from_gguf(sentencepiece_gguf())}) {
    CHECK(tokenizer.encode(text).back().end == text.size());
  }
}

TEST_CASE(
    "an added token that normalisation leaves nothing or another's spelling of is in no text") {
  json changed = definition();
  changed["normalizer"] = {
      {"type", "Replace"}, {"pattern", {{"Regex", R"(^\s+|\s+$)"}}}, {"content", ""}};
  const Tokenizer without = test::from_json(changed);
  json added = changed["added_tokens"][3];
  added["normalized"] = true;
  added["special"] = false;
  int id = static_cast<int>(without.vocab_size());
  for (const char* content : {" ", " ca", "ca "}) {
    added["content"] = content;
    added["id"] = id++;
    changed["added_tokens"].push_back(added);
  }
  const Tokenizer with = test::from_json(changed);
  const std::string text = std::string(" a b\n") + '\0' + " ";
  CHECK(ids_of(with, text) == ids_of(without, text));
  const std::vector<TokenId> ids = ids_of(with, std::string(" a ca") + '\0' + "t \n");
  CHECK(std::ranges::count(ids, id - 2) == 1);
  CHECK(std::ranges::count(ids, id - 1) == 0);
}

TEST_CASE("unknown characters are not fused where there is no token for them") {
  json changed = definition();
  for (int byte = 0; byte < 256; ++byte) {  // nothing to fall back to
    char spelling[] = "<0x00>";
    spelling[3] = "0123456789ABCDEF"[byte / 16];
    spelling[4] = "0123456789ABCDEF"[byte % 16];
    changed["model"]["vocab"].erase(spelling);
  }
  const std::string text = "\xf0\x90\x8c\x80\xf0\x90\x8c\x81";  // U+10300 and U+10301
  changed["normalizer"] = nullptr;
  CHECK(ids_of(test::from_json(changed), text) == std::vector<TokenId>{0});
  changed["model"]["fuse_unk"] = false;
  CHECK(ids_of(test::from_json(changed), text) == std::vector<TokenId>{0, 0});
  changed["model"].erase("unk_token");
  CHECK(test::from_json(changed).encode(text).empty());
  changed["model"]["fuse_unk"] = true;
  CHECK(test::from_json(changed).encode(text).empty());
}

TEST_CASE("malformed tokenizers of characters are refused") {
  const auto refusal = [](const std::string& pointer, const json& value) {
    return test::refusal_with(definition(), pointer, value);
  };
  CHECK_THAT(refusal("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}}),
             Contains("replacement: expected") && Contains("found '_'"));
  CHECK_THAT(
      refusal("/pre_tokenizer",
              {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "last"}}),
      Contains("prepend_scheme: expected always, first or never, found 'last'"));
  CHECK_THAT(
      refusal("/normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", "("}}}, {"content", ""}}),
      Contains("cannot be used"));
  CHECK_THAT(refusal("/normalizer", {{"type", "Prepend"}}), Contains("'prepend' is missing"));
  CHECK_THAT(refusal("/decoder", {{"type", "ByteLevel"}}),
             Contains("decoder: type: expected Replace, ByteFallback, Fuse, Strip or Metaspace"));

  const auto gguf_refusal = [](const std::string& key, const GgufValue& value) {
    Gguf gguf = sentencepiece_gguf();
    gguf.metadata["tokenizer.ggml." + key] = value;
    return error_of([&] { test::from_gguf(gguf); });
  };
  auto scores =
      std::get<std::vector<double>>(sentencepiece_gguf().metadata.at("tokenizer.ggml.scores"));
  scores[7] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THAT(gguf_refusal("scores", scores),
             Contains("tokenizer.ggml.scores: token 7: expected a finite number, found nan"));
  auto types = std::get<std::vector<std::int64_t>>(
      sentencepiece_gguf().metadata.at("tokenizer.ggml.token_type"));
  types.back() = kByte;
  CHECK_THAT(gguf_refusal("token_type", types),
             Contains("a byte token, so expected a spelling of"));
  CHECK_THAT(gguf_refusal("unknown_token_id", std::uint64_t{100'000}),
             Contains("tokenizer.ggml.unknown_token_id"));
}

}  // namespace
}  // namespace longshadow
