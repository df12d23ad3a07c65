// Ids against those of the reference tokenizers: the `tokenizers` package for tokenizer.json,
// llama.cpp for GGUF (tests/parity/make_tokenizer_fixtures.py).

#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>

#include "engine/core/sha256.h"
#include "engine/io/mapped_file.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/support/skip.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ids_of;

const fs::path kModels = fs::path(LONGSHADOW_FIXTURES).parent_path() / "models";
const fs::path kSmolLm2 = kModels / "SmolLM2-135M-Instruct.Q4_1.gguf";
const fs::path kLlama3 = kModels / "llama3/tokenizer.json";

/// Empty, and the test case skipped, where the model has not been fetched.
std::optional<Tokenizer> smollm2() {
  if (!fs::exists(kSmolLm2)) {
    test::skip("no " + kSmolLm2.string() + "; bash data/fetch_model.sh fetches it");
    return std::nullopt;
  }
  const MappedFile file(kSmolLm2);
  return Tokenizer::from_gguf(parse_gguf(file.bytes(), kSmolLm2), kSmolLm2);
}

Tokenizer small_tokenizer(const std::string& reference, const std::string& name) {
  const json definition = test::tokenizer_fixture(name + ".json");
  return reference == "tokenizers" ? test::from_json(definition)
                                   : test::from_gguf(test::gguf_of(definition, name));
}

void check_nasty_texts(const Tokenizer& tokenizer, const json& expected) {
  const std::vector<test::NastyText> texts = test::nasty_texts(/*utf8=*/true);
  for (const auto& [mode, special] :
       {std::pair{"as_text", SpecialTokens::as_text}, std::pair{"parse", SpecialTokens::parse}}) {
    const json& ids = expected.at(mode);
    REQUIRE(ids.size() == texts.size());
    for (std::size_t k = 0; k < texts.size(); ++k) {
      INFO(mode << ": " << texts[k].name);
      CHECK(ids_of(tokenizer, texts[k].bytes, special) == ids[k].get<std::vector<TokenId>>());
    }
  }
}

void check_documents(const Tokenizer& tokenizer, const json& expected) {
  const fs::path folder = fs::path(LONGSHADOW_SHARED) / "data/docs";
  for (const auto& [file, digest] : expected.items()) {
    INFO(file);
    const std::vector<TokenId> ids = ids_of(tokenizer, test::read_file(folder / file));
    CHECK(ids.size() == digest.at("count"));
    CHECK(sha256_hex(std::as_bytes(std::span(ids))) == digest.at("sha256"));
  }
}

bool have_documents() {
  if (fs::exists(fs::path(LONGSHADOW_SHARED) / "data/docs")) return true;
  test::skip("no documents in " LONGSHADOW_SHARED "/data/docs");
  return false;
}

TEST_CASE("nasty texts get the reference tokenizers' ids") {
  const json expected = test::tokenizer_fixture("expected.json");
  for (const std::string& name : test::kSmallTokenizers) {
    for (const std::string reference : {"tokenizers", "llama.cpp"}) {
      INFO(reference << ": " << name);
      check_nasty_texts(small_tokenizer(reference, name), expected.at(reference).at(name));
    }
  }
}

TEST_CASE("every kind of splitting, normalising and adding tokens gets the reference's ids") {
  const json expected = test::tokenizer_fixture("expected_variants.json");
  const json variants = test::tokenizer_fixture("variants.json");
  REQUIRE(variants.size() == expected.size());
  for (const json& variant : variants) {
    json definition = test::tokenizer_fixture(variant.at("base").get<std::string>() + ".json");
    for (const auto& [pointer, value] : variant.at("set").items()) {
      definition[json::json_pointer(pointer)] = value;
    }
    const Tokenizer tokenizer = test::from_json(definition);
    const std::string name = variant.at("name");
    for (const auto& [mode, special] :
         {std::pair{"as_text", SpecialTokens::as_text}, std::pair{"parse", SpecialTokens::parse}}) {
      const json& ids = expected.at(name).at(mode);
      for (std::size_t k = 0; k < ids.size(); ++k) {
        const std::string text = variant.at("texts").at(k);
        INFO(name << ", " << mode << ": " << text);
        CHECK(ids_of(tokenizer, text, special) == ids[k].get<std::vector<TokenId>>());
      }
    }
  }
}

TEST_CASE("documents get the reference tokenizers' ids") {
  if (!have_documents()) return;
  const json expected = test::tokenizer_fixture("documents.json");
  for (const std::string& name : test::kSmallTokenizers) {
    for (const std::string reference : {"tokenizers", "llama.cpp"}) {
      INFO(reference << ": " << name);
      check_documents(small_tokenizer(reference, name), expected.at(reference).at(name));
    }
  }
}

TEST_CASE("documents get the reference tokenizers' ids where tokens are texts") {
  if (!have_documents()) return;
  const json expected = test::tokenizer_fixture("documents.json");
  const json byte_pairs = test::tokenizer_fixture("sentencepiece.json");
  check_documents(test::from_json(byte_pairs), expected.at("tokenizers").at("sentencepiece"));
  check_documents(test::from_gguf(test::sentencepiece_gguf(byte_pairs)),
                  expected.at("llama.cpp").at("sentencepiece"));
  const Tokenizer unigram = test::from_json(test::tokenizer_fixture("unigram.json"));
  check_documents(unigram, expected.at("tokenizers").at("unigram"));
  for (const auto& [name, digests] : expected.at("SentencePiece").items()) {
    INFO(name);
    check_documents(test::from_model(name), digests);
  }
}

TEST_CASE("SmolLM2's own tokenizer gives llama.cpp's ids") {
  const std::optional<Tokenizer> tokenizer = smollm2();
  if (!tokenizer) return;
  CHECK(tokenizer->vocab_size() == 49152);
  CHECK(tokenizer->bos() == 1);
  CHECK_FALSE(tokenizer->adds_bos());
  check_nasty_texts(*tokenizer,
                    test::tokenizer_fixture("expected.json").at("llama.cpp").at("smollm2"));
  if (!have_documents()) return;
  check_documents(*tokenizer,
                  test::tokenizer_fixture("documents.json").at("llama.cpp").at("smollm2"));
}

TEST_CASE("Llama 3's own ranks give tiktoken's ids from either format") {
  if (!fs::exists(kLlama3)) {
    return test::skip("no " + kLlama3.string() +
                      "; tests/parity/make_llama3_tokenizer.py makes it");
  }
  const json definition = json::parse(test::read_file(kLlama3));
  const json texts = test::tokenizer_fixture("expected.json").at("tiktoken").at("llama3");
  const json documents = test::tokenizer_fixture("documents.json").at("tiktoken").at("llama3");
  for (const Tokenizer& tokenizer :
       {test::from_json(definition), test::from_gguf(test::gguf_of(definition, "llama-bpe"))}) {
    CHECK(tokenizer.adds_bos());
    CHECK(tokenizer.bos() == 128000);
    check_nasty_texts(tokenizer, texts);
    if (have_documents()) check_documents(tokenizer, documents);
  }
}

}  // namespace
}  // namespace longshadow
