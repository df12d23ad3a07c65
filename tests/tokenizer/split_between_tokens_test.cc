// Splits that change no token: of vocabularies whose tokens have spaces only at their beginning, as
// SentencePiece's have, and of those that have others too.

#include "engine/tokenizer/definition/split_between_tokens.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/json.h"
#include "engine/text/aligned_text.h"
#include "engine/tokenizer/encoding/byte_pair_encoding.h"
#include "engine/tokenizer/encoding/scored_encoding.h"
#include "engine/tokenizer/encoding/vocabulary.h"
#include "engine/tokenizer/pretokenizer.h"
#include "tests/tokenizer/tokenizer_fixtures.h"

namespace longshadow {
namespace {

using nlohmann::json;
using test::ids_of;

const std::string kMark(kSpelledSpace);

bool has_inner_mark(const std::string& spelling) {
  const std::size_t word = spelling.find_first_not_of(kMark);
  return word != std::string::npos && spelling.find(kMark, word) != std::string::npos;
}

/// The small tokenizer without the tokens that have a space behind another character; ids move up.
json words_definition() {
  json definition = test::tokenizer_fixture("sentencepiece.json");
  json& model = definition["model"];
  std::map<int, std::string> by_id;
  for (const auto& [spelling, id] : model["vocab"].items()) {
    if (!has_inner_mark(spelling)) by_id[id] = spelling;
  }
  json vocabulary = json::object();
  for (const auto& [id, spelling] : by_id) vocabulary[spelling] = vocabulary.size();
  json merges = json::array();
  for (const json& merge : model["merges"]) {
    const auto left = merge.at(0).get<std::string>();
    const auto right = merge.at(1).get<std::string>();
    if (vocabulary.contains(left) && vocabulary.contains(right) &&
        vocabulary.contains(left + right)) {
      merges.push_back(merge);
    }
  }
  model["vocab"] = vocabulary;
  model["merges"] = merges;
  return definition;
}

/// The ids of a text, encoded as the one word that it is to the encoding.
std::vector<TokenId> ids_as_one_word(const TokenizerDefinition& definition,
                                     const std::string& text) {
  std::string word = kMark;
  for (const char c : text) word += c == ' ' ? kMark : std::string(1, c);
  const Vocabulary vocabulary(definition);
  std::vector<Piece> pieces;
  if (definition.model == TokenModel::merges) {
    const BytePairEncoding encoding(resolve_merges(definition, vocabulary));
    pieces = encoding.encode(vocabulary.with_byte_fallback(vocabulary.characters_of(word), word));
  } else {
    const ScoredEncoding encoding(vocabulary, definition.scores);
    pieces = vocabulary.with_byte_fallback(encoding.encode(word), word);
  }
  std::vector<TokenId> ids;
  for (const Piece& piece : pieces) ids.push_back(piece.id);
  return ids;
}

/// The parts that a text is split into, from the spellings of a vocabulary.
std::vector<std::string> parts(const std::vector<std::string>& spellings, const std::string& text) {
  TokenizerDefinition definition;
  definition.byte_level = false;
  definition.vocabulary.assign(spellings.begin(), spellings.end());
  const std::optional<SplitRule> split = split_between_tokens(definition);
  if (!split) return {};
  const std::vector<PretokenizerStep> steps = {*split};
  AlignedText aligned = as_utf8(text, {0, text.size()});
  std::vector<std::string> found;
  for (const Range range : Pretokenizer(steps, "t").split(aligned)) {
    found.push_back(text.substr(range.begin, range.size()));
  }
  return found;
}

TEST_CASE("a text is split where no token has a space behind such a character") {
  using Parts = std::vector<std::string>;
  const std::string text = "ab\u2581\u2581cd\u2581>\u2581\u2581e\u2581";
  CHECK(parts({"\u2581", "ab", "\u2581\u2581c"}, text) ==
        Parts{"ab", "\u2581\u2581cd", "\u2581>", "\u2581\u2581e", "\u2581"});
  CHECK(parts({"\u2581", "x>\u2581", "]\u2581"}, text) ==
        Parts{"ab", "\u2581\u2581cd", "\u2581>\u2581\u2581e", "\u2581"});
  CHECK(parts({"\u2581", "x>\u2581\u2581b\u2581", "d\u2581"}, text) ==
        Parts{"ab\u2581\u2581cd\u2581>\u2581\u2581e", "\u2581"});
  CHECK(parts({"ab", "\u2581\u2581c"}, text).empty());
}

TEST_CASE("what may depend on the whole text is not split") {
  TokenizerDefinition definition;
  definition.byte_level = false;
  definition.vocabulary = {kMark, "a"};
  CHECK(split_between_tokens(definition));
  definition.merges = {{"a", kMark}};
  CHECK(split_between_tokens(definition));
  definition.merges = {{"a<0xE2>", kMark + "b"}};
  CHECK_FALSE(split_between_tokens(definition));
  definition.merges.clear();
  definition.ignores_merges = true;
  CHECK_FALSE(split_between_tokens(definition));
  definition.ignores_merges = false;
  definition.model = TokenModel::unigram;
  CHECK_FALSE(split_between_tokens(definition));
}

TEST_CASE("parts get the tokens that they have within the whole text") {
  std::vector<std::string> texts = {
      test::read_file(std::filesystem::path(LONGSHADOW_FIXTURES).parent_path() /
                      "documents/how_a_cache_forgets.txt")};
  for (const test::NastyText& text : test::nasty_texts(/*utf8=*/true)) {
    if (!text.bytes.empty()) texts.push_back(text.bytes);
  }
  const json all = test::tokenizer_fixture("sentencepiece.json");
  for (const json& definition : {all, words_definition()}) {
    const std::string source = definition.dump();
    const TokenizerDefinition merged = read_tokenizer(bytes_of(source), "t");
    const TokenizerDefinition scored = read_tokenizer(test::sentencepiece_gguf(definition), "t");
    REQUIRE(split_between_tokens(merged));
    REQUIRE(split_between_tokens(scored));
    const Tokenizer by_merges = test::from_json(definition);
    const Tokenizer by_scores = test::from_gguf(test::sentencepiece_gguf(definition));
    for (const std::string& text : texts) {
      INFO(text.substr(0, 40));
      CHECK(ids_of(by_merges, text) == ids_as_one_word(merged, text));
      CHECK(ids_of(by_scores, text) == ids_as_one_word(scored, text));
    }
  }
}

TEST_CASE("of a text whose tokens have spaces at their beginning alone, most tokens are certain") {
  const std::string text =
      test::read_file(std::filesystem::path(LONGSHADOW_FIXTURES).parent_path() /
                      "documents/how_a_cache_forgets.txt");
  for (const Tokenizer& tokenizer :
       {test::from_json(words_definition()),
        test::from_gguf(test::sentencepiece_gguf(words_definition()))}) {
    const std::vector<Token> whole = tokenizer.encode(text);
    for (std::size_t cut = 17; cut < text.size(); cut += 997) {
      const std::vector<Token> found = tokenizer.encode_beginning(text.substr(0, cut));
      REQUIRE(found.size() <= whole.size());
      for (std::size_t k = 0; k < found.size(); ++k) REQUIRE(found[k].id == whole[k].id);
      CHECK((found.empty() ? 0 : found.back().end) + 64 >= cut);
    }
  }
}

}  // namespace
}  // namespace longshadow
