// tokenizer.model, SentencePiece's own file: its ids against that package's
// (tests/parity/make_tokenizer_fixtures.py), and what is refused.

#include <bit>
#include <catch2/catch.hpp>
#include <limits>
#include <string>

#include "engine/io/json.h"
#include "tests/tokenizer/reference_ids.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::json;
using test::ids_of;

Tokenizer read(std::string_view model) {
  return Tokenizer::from_sentencepiece(bytes_of(model), "tokenizer.model");
}

TEST_CASE("SentencePiece's own files give the ids of its package") {
  const json digests = test::tokenizer_fixture("models_ids.json");
  CHECK(digests.size() == 2);
  for (const auto& [name, digest] : digests.items()) {
    INFO(name);
    const Tokenizer tokenizer = test::from_model(name);
    CHECK(test::digest_of_texts(tokenizer, SpecialTokens::as_text) == digest);
    CHECK(tokenizer.bos() == 1);
    CHECK(tokenizer.adds_bos());
  }
}

TEST_CASE("tokens of a file that takes no spaces away have the bytes of their places") {
  const Tokenizer tokenizer = test::from_model("byte_pairs");
  for (const test::NastyText& text : test::nasty_texts(/*utf8=*/true)) {
    INFO(text.name);
    if (text.bytes.find("<unk>") == std::string::npos) test::check_places(tokenizer, text.bytes);
  }
}

/// A field of Protocol Buffers: a number below 128, or text of fewer than 128 bytes.
std::string number_field(int number, int value) {
  const int tag = number << 3;
  std::string bytes = tag < 128
                          ? std::string(1, static_cast<char>(tag))
                          : std::string{static_cast<char>(tag | 0x80), static_cast<char>(tag >> 7)};
  return bytes + static_cast<char>(value);
}
std::string text_field(int number, const std::string& text) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(text.size())} + text;
}
std::string float_field(int number, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  std::string bytes(1, static_cast<char>(number << 3 | 5));
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(bits >> (8 * i));
  return bytes;
}
std::string piece(const std::string& text, float score, int type = 1) {
  return text_field(1, text_field(1, text) + float_field(2, score) + number_field(3, type));
}
std::string trainer(const std::string& fields) { return text_field(2, fields); }
std::string normalizer(const std::string& fields) { return text_field(3, fields); }

/// Byte pairs of a and b behind the three usual pieces.
const std::string kPieces = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) +
                            piece("ab", -1) + piece("a", -2) + piece("b", -3) + piece("\u2581", -4);
const std::string kBytePairs = trainer(number_field(3, 2));

TEST_CASE("a file says what becomes of spaces and of what is in no piece") {
  using Ids = std::vector<TokenId>;
  CHECK(ids_of(read(kPieces + kBytePairs), "  ab  b ") == Ids{6, 3, 6, 5});
  const std::string keeps = normalizer(number_field(4, 0));
  CHECK(ids_of(read(kPieces + kBytePairs + keeps), " ab") == Ids{6, 6, 3});
  const std::string no_prefix = normalizer(number_field(3, 0));
  CHECK(ids_of(read(kPieces + kBytePairs + no_prefix), " ab") == Ids{3});
  // Unknown characters are one token together.
  CHECK(ids_of(read(kPieces + kBytePairs), "abxyzb") == Ids{6, 3, 0, 5});
  const std::string bytes =
      piece("<0x78>", 0, 6) + trainer(number_field(3, 2) + number_field(35, 1));
  CHECK(ids_of(read(kPieces + bytes), "axb") == Ids{6, 4, 7, 5});

  const std::string defined = piece("<|x|>", 0, 4) + kBytePairs;
  CHECK(ids_of(read(kPieces + defined), "a<|x|>") == Ids{6, 4, 7});
  CHECK(ids_of(read(kPieces + defined), "</s>") == Ids{6, 0});
  const std::string none = std::string("\xc8\x02") + std::string(9, '\xff') + '\x01';
  CHECK_FALSE(read(kPieces + kBytePairs + trainer(none)).bos());
  CHECK(read(kPieces + kBytePairs + piece("unused", 0, 5)).is_unused(7));
}

TEST_CASE("malformed SentencePiece models are refused") {
  const auto refusal = [](const std::string& model) {
    return test::error_of([&] { read(model); });
  };
  CHECK_THAT(refusal("IQ== 0\nIg== 1\n"),
             Contains("tokenizer.model: this is no SentencePiece model: expected"));
  CHECK_THAT(refusal(""), Contains("expected an unknown piece, found none"));
  CHECK_THAT(refusal(number_field(1, 1)), Contains("this is no SentencePiece model: field 1"));
  CHECK_THAT(refusal(kPieces + piece("?", 0, 2)),
             Contains("expected one unknown piece, found 0 and 7"));
  CHECK_THAT(refusal(kPieces + kBytePairs + piece("a", 0)),
             Contains("token 7 'a' is spelled like token 4"));
  CHECK_THAT(refusal(kPieces + piece("", 0)), Contains("piece 7: expected a text, found none"));
  CHECK_THAT(refusal(kPieces + piece("\xff", 0)), Contains("piece 7: expected UTF-8"));
  CHECK_THAT(refusal(kPieces + piece("c", std::numeric_limits<float>::infinity())),
             Contains("piece 7: score: expected a finite number"));
  CHECK_THAT(refusal(kPieces + piece("c", 0, 7)), Contains("piece 7: type: expected 1 to 6"));
  CHECK_THAT(refusal(kPieces + piece("c", 0, 6)), Contains("piece 7: expected a spelling of"));
  CHECK_THAT(refusal(kPieces + text_field(1, number_field(2, 1))),
             Contains("piece 7: score: expected a"));
  CHECK_THAT(refusal(kPieces), Contains("model_type: expected 2 (byte-pair encoding), found 1"));
  CHECK_THAT(refusal(kPieces + trainer(number_field(3, 3))),
             Contains("trainer_spec: model_type: expected 2 (byte-pair encoding), found 3; "
                      "AutoTokenizer"));
  CHECK_THAT(refusal(kPieces + kBytePairs + trainer(number_field(24, 1))),
             Contains("treat_whitespace_as_suffix"));
  CHECK_THAT(refusal(kPieces + kBytePairs + normalizer(number_field(5, 0))),
             Contains("escape_whitespaces"));
  CHECK_THAT(refusal(kPieces + kBytePairs +
                     normalizer(text_field(1, "nmt_nfkc") + text_field(2, "rules"))),
             Contains("precompiled_charsmap: the rules 'nmt_nfkc' are not supported"));
  CHECK_THAT(refusal(std::string((8 << 20) + 1, '\0')), Contains("at most 8388608 bytes"));
}

}  // namespace
}  // namespace longshadow
