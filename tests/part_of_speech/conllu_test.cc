#include "engine/part_of_speech/conllu.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "tests/part_of_speech/treebank.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

/// A line with the columns that are read, and "_" in the others.
std::string row(const std::string& id, const std::string& form, const std::string& tag) {
  return id + "\t" + form + "\t_\t" + tag + "\t_\t_\t_\t_\t_\t_\n";
}

std::string error_reading(const std::string& text) {
  return error_of([&] { read_conllu(text, "a.conllu"); });
}

TEST_CASE("a treebank's words, multiword tokens and texts are read") {
  const std::vector<ConlluSentence> sentences = test::small_treebank();
  REQUIRE(sentences.size() == 3);
  const ConlluSentence& first = sentences[0];
  CHECK(first.text == "The cat doesn't see the dog.");
  REQUIRE(first.words.size() == 8);
  CHECK(first.words[3].form == "n't");
  CHECK(first.words[3].tag == UniversalTag::part);
  REQUIRE(first.tokens.size() == 7);
  CHECK(first.tokens[2].form == "doesn't");
  CHECK(first.tokens[2].words == Range{2, 4});
  CHECK(first.tokens[2].line == 5);
  CHECK(first.tokens[3].words == Range{4, 5});
  CHECK(sentences[1].words.size() == 12);  // without the empty node 9.1
}

TEST_CASE("line ends of Windows, and a file that ends without one, are read") {
  const auto sentences =
      read_conllu("1\ta\t_\tDET\t_\t_\t_\t_\t_\t_\r\n\r\n1\tb\t_\tNOUN\t_\t_\t_\t_\t_\t_", "a");
  REQUIRE(sentences.size() == 2);
  CHECK(sentences[0].words[0].form == "a");
  CHECK(sentences[1].words[0].tag == UniversalTag::noun);
}

TEST_CASE("an empty node may stand before the first word") {
  CHECK(read_conllu(row("0.1", "x", "_") + row("1", "a", "DET"), "a")[0].words.size() == 1);
}

TEST_CASE("rows for white space count and are passed over, however they are written") {
  for (const std::string& space :
       {row("2", " ", "SPACE"), row("2", "\\n\\n", "SPACE"), row("2", "_", "SPACE"),
        row("2", "\u00a0", "X"), row("2", "\n\n", "SPACE"), row("2", "\t", "SPACE"),
        row("2", "\r\n", "X"), std::string("2\t\n\t \n\t\n\t \n\tSPACE\t_SP\t_\t_\t_\t_\t_\n"),
        std::string("2\t\t\t\t\tSPACE\t_SP\t_\t_\t_\t_\t_\n"),
        std::string("2\tx\t_\tX\t_SP\t_\t_\t_\t_\t_\n")}) {
    INFO(space);
    const auto sentences =
        read_conllu(row("1", "a", "DET") + space + row("3", "b", "NOUN") + "\n", "a");
    REQUIRE(sentences.size() == 1);
    REQUIRE(sentences[0].tokens.size() == 2);
    CHECK(sentences[0].tokens[1].form == "b");
    CHECK(sentences[0].tokens[1].words == Range{1, 2});
    const auto n_lines = static_cast<std::size_t>(std::count(space.begin(), space.end(), '\n'));
    CHECK(sentences[0].tokens[1].line == 2 + n_lines);
    CHECK_THAT(error_reading(row("1", "a", "DET") + space + row("2", "b", "NOUN")),
               Contains("expected word 3, found ID '2'"));
  }
  CHECK_THAT(error_reading(row("1", "a", "DET") + row("3", "\n", "SPACE")),
             Contains("line 2: expected word 2, found ID '3'"));
  CHECK_THAT(error_reading(row("1", "", "DET")), Contains("column 2 is empty"));
  CHECK_THAT(error_reading("1\ta\t_\tDET\t_\t_\t_\t_\t_\n"),
             Contains("expected 10 columns between tabs, found 9"));
  CHECK_THAT(error_reading(row("1-2", "ab", "_") + row("1", "\n", "SPACE")),
             Contains("line 2: expected a word of a multiword token, found white space"));
}

TEST_CASE(
    "a byte-order mark, a text comment with line ends, blank lines and lines of spaces are read") {
  const auto sentences =
      read_conllu("\xef\xbb\xbf\n \n# text = a\n\nb\tc\n# sent_id = 1\n" + row("1", "a", "DET") +
                      "\t\n\n" + row("1", "b", "NOUN") + "\n\n\n",
                  "a");
  REQUIRE(sentences.size() == 2);
  CHECK(sentences[0].text == "a\n\nb\tc");
  CHECK(sentences[0].tokens[0].line == 7);
  CHECK(sentences[1].text.empty());
}

TEST_CASE("words without a tag are read where they may be, and some must have one") {
  const std::string text = row("1", "a", "_") + row("2", "b", "NOUN");
  const auto sentences = read_conllu(text, "a", MissingTags::allowed);
  CHECK(sentences[0].words[0].tag == UniversalTag::none);
  CHECK(sentences[0].words[1].tag == UniversalTag::noun);
  CHECK_THAT(error_of([&] { read_conllu(row("1", "a", "_"), "a", MissingTags::allowed); }),
             Contains("expected universal tags in column 4, found \"_\" for every word"));
}

TEST_CASE("a malformed line is refused by its number") {
  const std::string good = row("1", "a", "DET");
  CHECK_THAT(error_reading(""), Contains("a.conllu: line 0: expected at least one sentence"));
  CHECK_THAT(error_reading("# only a comment\n"), Contains("expected at least one sentence"));
  CHECK_THAT(error_reading(good + "2\tb\tNOUN\n"),
             Contains("a.conllu: line 2: expected 10 columns between tabs, found 3"));
  CHECK_THAT(error_reading(good.substr(0, good.size() - 1) + "\t_\n"),
             Contains("expected 10 columns between tabs, found more"));
  CHECK_THAT(error_reading(row("1", "", "DET")), Contains("column 2 is empty"));
  CHECK_THAT(error_reading(row("1", "\xff", "DET")), Contains("expected UTF-8"));
  CHECK_THAT(error_reading(good + "# late\n"), Contains("line 2: expected a comment only before"));
  CHECK_THAT(error_reading(std::string(1 << 21, 'a')), Contains("expected at most 1048576 bytes"));
  for (const std::string tag : {"_", "NN", "noun", "NONE", "NOUN "}) {
    CHECK_THAT(
        error_reading(row("1", "a", tag)),
        Contains("line 1: expected one of the 17 universal tags in column 4, found '" + tag));
  }
}

TEST_CASE("IDs that do not count the words are refused") {
  const std::string good = row("1", "a", "DET");
  for (const std::string id : {"0", "2", "18446744073709551617", "01x", "-1", "1.", "a", "+1"}) {
    INFO(id);
    CHECK_THAT(error_reading(row(id, "a", "DET")), Contains("line 1: expected"));
  }
  CHECK_THAT(error_reading(good + good), Contains("line 2: expected word 2, found ID '1'"));
  CHECK_THAT(error_reading(good + row("3.1", "b", "X")),
             Contains("line 2: expected an empty node behind word 1, found '3.1'"));
}

TEST_CASE("multiword tokens that do not fit their words are refused") {
  const std::string a = row("1", "a", "DET");
  const std::string b = row("2", "b", "NOUN");
  for (const std::string& text :
       {row("1-1", "a", "_") + a, row("2-1", "a", "_") + a, row("2-3", "a", "_") + a,
        row("1-2", "a", "_") + a + row("2-3", "b", "_"),
        row("1-2", "a", "_") + row("1-2", "a", "_"), a + row("1-2", "a", "_")}) {
    INFO(text);
    CHECK_THAT(error_reading(text), Contains("expected a multiword token that starts with word"));
  }
  CHECK_THAT(error_reading(row("1-99999999999", "ab", "_") + a + b),
             Contains("expected word 3 of a multiword token, found the end of the sentence"));
}

TEST_CASE("a treebank that is cut anywhere is read or refused, never worse") {
  const std::string text = test::read_text(test::kTreebank);
  for (std::size_t length = 0; length < text.size(); ++length) {
    try {
      const std::size_t sentences = read_conllu(text.substr(0, length), "cut").size();
      CHECK(sentences <= 3);
    } catch (const Error& error) {
      CHECK_THAT(error.what(), Contains("cut: line "));
    }
  }
}

}  // namespace
}  // namespace longshadow
