#include "engine/part_of_speech/token_tags.h"

#include <catch2/catch.hpp>
#include <vector>

namespace longshadow {
namespace {

using enum UniversalTag;

// "The cats,  3"
const std::vector<TaggedWord> kWords{
    {{0, 3}, det, false}, {{4, 8}, noun, false}, {{8, 9}, punct, false}, {{11, 12}, num, true}};

TEST_CASE("a token has the tag of its word and says whether it begins it") {
  const std::vector<Token> tokens{{1, 0, 0}, {2, 0, 3},  {3, 3, 6},  {4, 6, 8},
                                  {5, 8, 9}, {6, 9, 10}, {7, 10, 12}};
  const std::vector<TokenTag> tags = project(kWords, tokens);
  REQUIRE(tags.size() == tokens.size());
  const std::vector<UniversalTag> expected{none, det, noun, noun, punct, none, num};
  const std::vector<std::int32_t> words{-1, 0, 1, 1, 2, -1, 3};
  const std::vector<bool> begins{false, true, true, false, true, false, true};
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    INFO(i);
    CHECK(tags[i].tag == expected[i]);
    CHECK(tags[i].word == words[i]);
    CHECK(tags[i].begins_word == begins[i]);
  }
}

TEST_CASE("a token over several words belongs to the one it holds most of, the first of equals") {
  const auto word_of = [](std::size_t begin, std::size_t end) {
    return project(kWords, std::vector<Token>{{1, begin, end}})[0].word;
  };
  CHECK(word_of(0, 12) == 1);
  CHECK(word_of(2, 5) == 0);  // one byte of each
  CHECK(word_of(2, 6) == 1);
  CHECK(word_of(7, 9) == 1);  // "s,"
  CHECK(word_of(8, 12) == 2);
  CHECK(word_of(9, 11) == -1);
}

TEST_CASE("tokens that share bytes, and words without any, are passed") {
  const std::vector<TaggedWord> words{
      {{0, 2}, adp, false}, {{2, 2}, det, false}, {{3, 4}, noun, true}};
  const std::vector<Token> tokens{{1, 0, 2}, {2, 0, 2}, {3, 2, 4}};
  const std::vector<TokenTag> tags = project(words, tokens);
  CHECK(tags[0].begins_word);
  CHECK_FALSE(tags[1].begins_word);
  CHECK(tags[1].word == 0);
  CHECK(tags[2].word == 2);
  CHECK(project({}, tokens)[0].tag == none);
}

// "So it is. Yes.\n\nNo, no."
const std::vector<TaggedWord> kThreeSentences{{{0, 2}, adv, false},    {{3, 5}, pron, false},
                                              {{6, 8}, aux, false},    {{8, 9}, punct, true},
                                              {{10, 13}, intj, false}, {{13, 14}, punct, true},
                                              {{16, 18}, intj, false}, {{18, 19}, punct, false},
                                              {{20, 22}, intj, false}, {{22, 23}, punct, true}};

std::vector<std::int32_t> sentences_of(const std::vector<TaggedWord>& words,
                                       const std::vector<Token>& tokens) {
  std::vector<std::int32_t> sentences;
  for (const TokenTag& tag : project(words, tokens)) sentences.push_back(tag.sentence);
  return sentences;
}

TEST_CASE("a sentence's tokens go on to the next one's first word") {
  // A beginning-of-sequence token, spaces before words, and line ends that stand alone.
  CHECK(sentences_of(kThreeSentences, {{1, 0, 0},
                                       {2, 0, 2},
                                       {3, 2, 5},
                                       {4, 5, 8},
                                       {5, 8, 9},
                                       {6, 9, 13},
                                       {7, 13, 14},
                                       {8, 14, 15},
                                       {9, 15, 16},
                                       {10, 16, 18},
                                       {11, 18, 23}}) ==
        std::vector<std::int32_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2});
  CHECK(sentences_of({}, {{1, 0, 0}, {2, 0, 4}}) == std::vector<std::int32_t>{0, 0});
}

TEST_CASE("a token in two sentences belongs to the earlier one") {
  // ". Y", "es", ".\n\nN": the second sentence has "es" alone, the third "o" and what follows.
  CHECK(sentences_of(kThreeSentences,
                     {{1, 0, 8}, {2, 8, 11}, {3, 11, 13}, {4, 13, 17}, {5, 17, 23}}) ==
        std::vector<std::int32_t>{0, 0, 1, 1, 2});
  // ". Yes.\n\n" leaves the second sentence without a token: the third is counted behind the first.
  CHECK(sentences_of(kThreeSentences, {{1, 0, 8}, {2, 8, 16}, {3, 16, 23}}) ==
        std::vector<std::int32_t>{0, 0, 1});
  CHECK(sentences_of(kThreeSentences, {{1, 0, 8}, {2, 8, 17}, {3, 17, 23}}) ==
        std::vector<std::int32_t>{0, 0, 1});
  CHECK(sentences_of(kThreeSentences, {{1, 0, 23}}) == std::vector<std::int32_t>{0});
}

}  // namespace
}  // namespace longshadow
