// What Tokenizer::encode_beginning() promises: for every cut of a text, tokens that the whole text
// begins with, and few fewer than the cut has.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/tokenizer/tokenizer.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Fails unless the beginning of `cut` bytes has tokens that the whole begins with; returns the
/// byte that they reach.
std::size_t check_cut(const Tokenizer& tokenizer, std::string_view text,
                      const std::vector<Token>& whole, std::size_t cut, SpecialTokens special) {
  const std::vector<Token> found = tokenizer.encode_beginning(text.substr(0, cut), special);
  INFO("cut at byte " << cut);
  const bool is_beginning =
      found.size() <= whole.size() &&
      std::equal(found.begin(), found.end(), whole.begin(), [](const Token& a, const Token& b) {
        return a.id == b.id && a.begin == b.begin && a.end == b.end;
      });
  REQUIRE(is_beginning);
  return found.empty() ? 0 : found.back().end;
}

void check_cuts(const Tokenizer& tokenizer, std::string_view text, std::size_t step = 1) {
  for (const SpecialTokens special : {SpecialTokens::as_text, SpecialTokens::parse}) {
    const std::vector<Token> whole = tokenizer.encode(text, special);
    for (std::size_t cut = 0; cut <= text.size(); cut += step) {
      check_cut(tokenizer, text, whole, cut, special);
    }
  }
}

TEST_CASE("a beginning has the whole text's tokens, wherever nasty texts are cut") {
  for (const std::string& name : test::kSmallTokenizers) {
    INFO(name);
    const json definition = test::tokenizer_fixture(name + ".json");
    for (const Tokenizer& tokenizer :
         {test::from_json(definition), test::from_gguf(test::gguf_of(definition, name))}) {
      std::string joined;
      for (const bool utf8 : {true, false}) {
        for (const test::NastyText& text : test::nasty_texts(utf8)) {
          INFO(text.name);
          check_cuts(tokenizer, text.bytes, 1 + text.bytes.size() / 300);
          if (text.bytes.size() < 300) joined += text.bytes;
        }
      }
      check_cuts(tokenizer, joined, 7);
    }
  }
}

TEST_CASE("a beginning has the whole text's tokens in every variant of a tokenizer") {
  for (const json& variant : test::tokenizer_fixture("variants.json")) {
    INFO(variant.at("name").get<std::string>());
    json definition = test::tokenizer_fixture(variant.at("base").get<std::string>() + ".json");
    for (const auto& [pointer, value] : variant.at("set").items()) {
      definition[json::json_pointer(pointer)] = value;
    }
    const Tokenizer tokenizer = test::from_json(definition);
    std::string joined;
    for (const json& text : variant.at("texts")) {
      joined += text.get<std::string>() + " ";
      check_cuts(tokenizer, text.get<std::string>());
    }
    check_cuts(tokenizer, joined);
  }
}

TEST_CASE("a beginning has the whole text's tokens where tokens are texts") {
  std::string joined;
  for (const bool utf8 : {true, false}) {
    for (const test::NastyText& text : test::nasty_texts(utf8)) {
      if (text.bytes.size() < 300) joined += text.bytes;
    }
  }
  for (const std::string name : {"sentencepiece", "unigram"}) {
    const json variants = test::tokenizer_fixture(name + "_variants.json");
    for (const auto& [variant, pointers] : variants.items()) {
      INFO(name << ", " << variant);
      json definition = test::tokenizer_fixture(name + ".json");
      for (const auto& [pointer, value] : pointers.items()) {
        definition[json::json_pointer(pointer)] = value;
      }
      check_cuts(test::from_json(definition), joined, 23);
    }
  }
}

TEST_CASE("of documents, a beginning has all tokens but the last few") {
  const fs::path folder = fs::path(LONGSHADOW_SHARED) / "data/docs";
  std::vector<fs::path> documents = {fs::path(LONGSHADOW_FIXTURES).parent_path() /
                                     "documents/how_a_cache_forgets.txt"};
  if (fs::exists(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".txt") documents.push_back(entry.path());
    }
  }
  for (const std::string& name : test::kSmallTokenizers) {
    const Tokenizer tokenizer = test::from_json(test::tokenizer_fixture(name + ".json"));
    for (const fs::path& document : documents) {
      INFO(name << ": " << document.string());
      const std::string text = test::read_file(document).substr(0, 40000);
      const std::vector<Token> whole = tokenizer.encode(text);
      for (std::size_t cut = 17; cut < text.size(); cut += 9973) {
        const std::size_t reached = check_cut(tokenizer, text, whole, cut, SpecialTokens::as_text);
        CHECK(reached + 256 >= cut);  // a run of dots or dashes is the longest of their words
      }
    }
  }
}

TEST_CASE("a text of Chinese alone is cut inside its one line") {
  const Tokenizer tokenizer = test::from_json(test::tokenizer_fixture("qwen2.json"));
  std::string text;
  for (int k = 0; k < 300; ++k) text += "\u7f13\u5b58\u5fd8\u8bb0\uff0c";
  const std::vector<Token> whole = tokenizer.encode(text);
  CHECK(check_cut(tokenizer, text, whole, 3001, SpecialTokens::as_text) > 2900);
}

}  // namespace
}  // namespace longshadow
