#include "probes/documents/words.h"

#include <catch2/catch.hpp>
#include <string>

namespace longshadow {
namespace {

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> found;
  for (const Range& range : find_words(text))
    found.push_back(text.substr(range.begin, range.size()));
  return found;
}

using Words = std::vector<std::string>;

TEST_CASE("words are runs of letters, marks, digits and connectors") {
  CHECK(words("").empty());
  CHECK(words(" ...\n").empty());
  CHECK(words("one") == Words{"one"});
  CHECK(words("Two words, 3 in_all.") == Words{"Two", "words", "3", "in_all"});
  CHECK(words("well-kept x=1.5") == Words{"well", "kept", "x", "1", "5"});
  CHECK(words("caf\u00e9 \u043c\u0438\u0440 \u6f22\u5b57") ==
        Words{"caf\u00e9", "\u043c\u0438\u0440", "\u6f22\u5b57"});
  CHECK(words("cafe\u0301!") == Words{"cafe\u0301"});  // a combining accent
}

TEST_CASE("an apostrophe between letters joins them, at an edge it does not") {
  CHECK(words("don't") == Words{"don't"});
  CHECK(words("it\u2019s") == Words{"it\u2019s"});
  CHECK(words("'quoted' words' end'") == Words{"quoted", "words", "end"});
  CHECK(words("a''b") == Words{"a", "b"});
  CHECK(words("'") == Words{});
}

TEST_CASE("bytes that are not UTF-8 end a word") {
  CHECK(words("ab\xff"
              "cd") == Words{"ab", "cd"});
  CHECK(words("caf\xc3") == Words{"caf"});
  CHECK(words("\x80z") == Words{"z"});
}

TEST_CASE("a word's tokens are those that share a byte with it") {
  //                           BOS     "Hel"      "lo"       " w"       "orld"      ", a"
  const std::vector<Token> tokens{{0, 0, 0}, {1, 0, 3},  {2, 3, 5},
                                  {3, 5, 7}, {4, 7, 11}, {5, 11, 14}};
  const std::vector<Range> ranges{{0, 5}, {6, 11}, {13, 14}, {20, 22}};
  CHECK(tokens_within(ranges, tokens) == std::vector<Range>{{1, 3}, {3, 5}, {5, 6}, {6, 6}});
}

TEST_CASE("a token of two words is in both, and a byte may have no token") {
  const std::vector<Token> tokens{{1, 0, 6}, {2, 8, 9}};
  const std::vector<Range> ranges{{0, 3}, {4, 6}, {6, 8}, {8, 9}};
  CHECK(tokens_within(ranges, tokens) == std::vector<Range>{{0, 1}, {0, 1}, {1, 1}, {1, 2}});
}

}  // namespace
}  // namespace longshadow
