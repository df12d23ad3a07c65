#include "engine/tokenizer/definition/gguf_pretokenizers.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "engine/core/sha256.h"
#include "tests/support/error_of.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::json;
using test::error_of;
using test::ids_of;

/// The vocabulary whose tokens cross every boundary, under a pre-tokenizer's name, or under none.
Gguf unsplit_as(const std::string& name) {
  Gguf gguf = test::gguf_of(test::tokenizer_fixture("unsplit.json"), name);
  if (name.empty()) gguf.metadata.erase("tokenizer.ggml.pre");
  return gguf;
}

// Expected are llama.cpp's ids (tests/parity/make_tokenizer_fixtures.py).
TEST_CASE("under every pre-tokenizer's name nasty texts get llama.cpp's ids") {
  const json expected = test::tokenizer_fixture("names.json");
  CHECK(expected.size() == gguf_pretokenizer_names().size() + 1);
  for (const auto& [name, digest] : expected.items()) {
    INFO("'" << name << "'");
    const Tokenizer tokenizer = test::from_gguf(unsplit_as(name));
    std::vector<TokenId> ids;
    for (const test::NastyText& text : test::nasty_texts(/*utf8=*/true)) {
      for (const TokenId id : ids_of(tokenizer, text.bytes)) ids.push_back(id);
      ids.push_back(-1);
    }
    CHECK(sha256_hex(std::as_bytes(std::span(ids))) == digest);
  }
}

TEST_CASE("a beginning-of-sequence token is added where the name or the file says so") {
  const std::set<std::string_view> adding = {"llama3",    "llama-v3",     "llama-bpe", "falcon3",
                                             "falcon-h1", "pixtral",      "midm-2.0",  "lfm2",
                                             "tekken",    "jina-v5-nano", "chameleon"};
  for (const std::string_view name : gguf_pretokenizer_names()) {
    INFO(name);
    CHECK(gguf_pretokenizer(name, "").adds_bos == adding.contains(name));
  }
  Gguf gguf = unsplit_as("llama-bpe");
  CHECK(test::from_gguf(gguf).adds_bos());
  gguf.metadata["tokenizer.ggml.add_bos_token"] = false;
  CHECK_FALSE(test::from_gguf(gguf).adds_bos());
}

TEST_CASE("a file that names no pre-tokenizer has the default one, and a warning") {
  for (const Gguf& gguf : {unsplit_as(""), [] {
                             Gguf named = unsplit_as("x");
                             named.metadata["tokenizer.ggml.pre"] = std::string();
                             return named;
                           }()}) {
    const Tokenizer tokenizer = test::from_gguf(gguf);
    REQUIRE(tokenizer.warnings().size() == 1);
    CHECK_THAT(tokenizer.warnings()[0],
               Contains("model.gguf: tokenizer.ggml.pre is missing") && Contains("'default'"));
    CHECK(ids_of(tokenizer, "it's 1234 -- 12345") ==
          ids_of(test::from_gguf(unsplit_as("default")), "it's 1234 -- 12345"));
  }
  CHECK(test::from_gguf(unsplit_as("default")).warnings().empty());
}

TEST_CASE("what ends a text is a control token, whatever type the file gives it") {
  Gguf gguf = unsplit_as("gpt-2");
  auto& tokens = std::get<std::vector<std::string>>(gguf.metadata["tokenizer.ggml.tokens"]);
  auto& types = std::get<std::vector<std::int64_t>>(gguf.metadata["tokenizer.ggml.token_type"]);
  const auto end = static_cast<TokenId>(tokens.size());
  tokens.insert(tokens.end(), {"<|im_end|>", "<|fim_prefix|>"});
  types.insert(types.end(), {/*user-defined*/ 4, /*normal*/ 1});
  const auto has = [](const Tokenizer& tokenizer, SpecialTokens special, TokenId id) {
    const std::vector<TokenId> ids = ids_of(tokenizer, "a<|im_end|><|fim_prefix|>", special);
    return std::ranges::find(ids, id) != ids.end();
  };
  const Tokenizer tokenizer = test::from_gguf(gguf);
  CHECK(has(tokenizer, SpecialTokens::parse, end));
  CHECK(has(tokenizer, SpecialTokens::parse, end + 1));
  CHECK_FALSE(has(tokenizer, SpecialTokens::as_text, end));
  CHECK_FALSE(has(tokenizer, SpecialTokens::as_text, end + 1));

  gguf.metadata["tokenizer.ggml.fim_pre_token_id"] = std::uint64_t{0};
  CHECK_FALSE(has(test::from_gguf(gguf), SpecialTokens::parse, end + 1));
}

TEST_CASE("tokens without a spelling are called as llama.cpp calls them") {
  Gguf gguf = unsplit_as("gpt-2");
  auto& tokens = std::get<std::vector<std::string>>(gguf.metadata["tokenizer.ggml.tokens"]);
  auto& types = std::get<std::vector<std::int64_t>>(gguf.metadata["tokenizer.ggml.token_type"]);
  const auto empty = static_cast<TokenId>(tokens.size());
  tokens.insert(tokens.end(), {"", ""});
  types.insert(types.end(), {1, 3});
  const std::vector<TokenId> ids = {empty, empty + 1};
  CHECK(test::from_gguf(gguf).decode(ids) ==
        "[EMPTY_" + std::to_string(empty) + "][EMPTY_" + std::to_string(empty + 1) + "]");
}

TEST_CASE("a pre-tokenizer that is not known is refused with the nearest names") {
  const auto refusal = [](const std::string& name) {
    return error_of([&] { gguf_pretokenizer(name, "m.gguf: tokenizer.ggml.pre"); });
  };
  CHECK_THAT(refusal("qwen-2"), Contains("m.gguf: tokenizer.ggml.pre: expected a pre-tokenizer") &&
                                    Contains("the nearest: qwen2, ") && Contains("found 'qwen-2'"));
  CHECK_THAT(refusal("gemma4"), Contains("expected a byte-level pre-tokenizer, found 'gemma4'"));
}

// Each would look ahead over all digits from every one of them, if it were written as llama.cpp has
// it: half a million steps squared.
TEST_CASE("the digits of a long number are counted from its end once") {
  const std::string digits(500'000, '7');
  for (const std::string name : {"superbpe", "tiny_aya", "afmoe"}) {
    const Tokenizer tokenizer = test::from_gguf(unsplit_as(name));
    const std::vector<Token> tokens = tokenizer.encode(digits);
    INFO(name);
    CHECK(tokens.front().end <= 2);  // 500,000 is two more than a multiple of three
    CHECK(tokens.back().end == digits.size());
  }
}

}  // namespace
}  // namespace longshadow
