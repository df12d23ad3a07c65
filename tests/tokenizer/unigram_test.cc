// The unigram language model: its encoding against a plain search, and its files.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/tokenizer/encoding/unigram_encoding.h"
#include "tests/tokenizer/reference_ids.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::json;
using test::ids_of;

json definition() { return test::tokenizer_fixture("unigram.json"); }

/// A vocabulary of random strings of a, b and c, whose token 0 is for all unknown characters.
struct SmallVocabulary {
  std::vector<std::optional<std::string>> spellings = {"<unk>"};
  std::vector<double> scores = {0.0};

  explicit SmallVocabulary(std::mt19937& random) {
    std::uniform_real_distribution<double> score(-8.0, -1.0);
    for (const std::string letter : {"a", "b"}) {
      add(letter, score(random));
      for (const std::string second : {"a", "b", "c"}) {
        if (random() % 2 == 0) add(letter + second, score(random));
        if (random() % 3 == 0) add(letter + second + "ab", score(random));
      }
    }
  }

  void add(const std::string& spelling, double score) {
    spellings.emplace_back(spelling);
    scores.push_back(score);
  }

  double unknown_score() const { return *std::ranges::min_element(scores) - 10.0; }

  /// The highest sum of scores of all ways to cut `word`, each of which is tried.
  double best_score(const std::string& word) const {
    if (word.empty()) return 0.0;
    double best = -std::numeric_limits<double>::infinity();
    bool has_first = false;
    for (std::size_t id = 0; id < spellings.size(); ++id) {
      if (!word.starts_with(*spellings[id])) continue;
      has_first |= spellings[id]->size() == 1;
      const double score = scores[id] + best_score(word.substr(spellings[id]->size()));
      if (score > best) best = score;
    }
    if (has_first) return best;
    const double unknown = unknown_score() + best_score(word.substr(1));
    return unknown > best ? unknown : best;
  }
};

TEST_CASE("the unigram model's tokens have the highest sum of scores of all") {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const SmallVocabulary vocabulary(random);
    const UnigramEncoding encoding(vocabulary.spellings, vocabulary.scores, 0);
    std::string word;
    for (std::size_t length = 1 + random() % 10; length > 0; --length) word += "abc"[random() % 3];
    INFO(word);
    double score = 0.0;
    std::size_t begin = 0;
    for (const auto& [id, bytes] : encoding.encode(word)) {
      const std::string spanned = word.substr(begin, bytes);
      begin += bytes;
      if (id == kNoToken) {
        score += static_cast<double>(bytes) * vocabulary.unknown_score();
      } else {
        REQUIRE(spanned == vocabulary.spellings[static_cast<std::size_t>(id)]);
        score += vocabulary.scores[static_cast<std::size_t>(id)];
      }
    }
    REQUIRE(begin == word.size());
    // Both are sums of at most ten numbers below 20, in other orders: ten roundings of 200.
    CHECK(std::abs(score - vocabulary.best_score(word)) < 10 * 200 * 0x1p-53);
  }
}

TEST_CASE("unknown characters are fused, and a run of them that is a token is that token") {
  const std::vector<std::optional<std::string>> spellings = {"<unk>", "a", "\u00e9"};
  const UnigramEncoding encoding(spellings, std::vector<double>{0.0, -1.0, -2.0}, 0);
  const auto ids = [&](const std::string& word) {
    std::vector<std::pair<TokenId, std::size_t>> found;
    for (const auto& [id, bytes] : encoding.encode(word)) found.emplace_back(id, bytes);
    return found;
  };
  using Ids = std::vector<std::pair<TokenId, std::size_t>>;
  CHECK(ids("a\u00e9xyz\xff"
            "a") == Ids{{1, 1}, {2, 2}, {kNoToken, 4}, {1, 1}});
  CHECK(ids("a<unk>a") == Ids{{1, 1}, {0, 5}, {1, 1}});
  CHECK(ids("a<unk>x") == Ids{{1, 1}, {kNoToken, 6}});
  CHECK(ids("").empty());
}

// Expected are the ids and places of the tokenizers package
// (tests/parity/make_tokenizer_fixtures.py).
TEST_CASE("tokenizers of the unigram model get the reference tokenizer's ids and places") {
  CHECK(test::check_variants("unigram") == test::tokenizer_fixture("unigram_ids.json").size());
}

TEST_CASE("the unigram model's tokens have the bytes of their places") {
  const Tokenizer tokenizer = test::from_json(definition());
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.adds_bos());
  for (const bool utf8 : {true, false}) {
    for (const test::NastyText& text : test::nasty_texts(utf8)) {
      INFO(text.name);
      if (text.bytes.find("<unk>") == std::string::npos) test::check_places(tokenizer, text.bytes);
    }
  }
}

TEST_CASE("a text that is one word of the unigram model takes linear time", "[long]") {
  std::string text;
  while (text.size() < 5'000'000) text += "The cache forgets what it has seen. \u6f22";
  CHECK(test::from_json(definition()).encode(text).back().end == text.size());
  CHECK(test::from_json(definition()).encode(std::string(1'000'000, ' ')).back().end == 1'000'000);
}

TEST_CASE("characters without a token or bytes are passed over where none stands for them") {
  json changed = definition();
  changed["model"]["byte_fallback"] = false;
  changed["normalizer"] = nullptr;
  const std::string text = "\U00010300\U00010301";
  CHECK(ids_of(test::from_json(changed), text) == std::vector<TokenId>{0});
  changed["model"].erase("unk_id");
  CHECK(test::from_json(changed).encode(text).empty());
}

TEST_CASE("malformed tokenizers of the unigram model are refused") {
  const auto refusal = [](const std::string& pointer, const json& value) {
    return test::refusal_with(definition(), pointer, value);
  };
  CHECK_THAT(refusal("/model/vocab", json::array({json::object()})),
             Contains("model: vocab: entry 0: expected ['token', score], found"));
  CHECK_THAT(refusal("/model/vocab", json::object()), Contains("'vocab': expected an array"));
  CHECK_THAT(refusal("/model/vocab/7", {"a", "0"}), Contains("vocab: entry 7: expected ['token'"));
  CHECK_THAT(refusal("/model/vocab/7", {"a", 0.0, 1}), Contains("vocab: entry 7: expected"));
  CHECK_THAT(refusal("/model/vocab/7", {"<s>", 0.0}), Contains("token 7 '<s>' is spelled like"));
  CHECK_THAT(refusal("/model/unk_id", 800),
             Contains("unk_id: expected an id below the 800 tokens"));
  CHECK_THAT(refusal("/model/unk_id", -1), Contains("'unk_id': expected"));
  CHECK_THAT(refusal("/model/byte_fallback", 1), Contains("'byte_fallback': expected true"));
  CHECK_THAT(refusal("/model/type", "WordPiece"),
             Contains("model: type: expected 'BPE' or 'Unigram', found 'WordPiece'"));
  CHECK_THAT(refusal("/pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}),
             Contains("expected Split, Digits, Metaspace or a Sequence of these"));
}

}  // namespace
}  // namespace longshadow
