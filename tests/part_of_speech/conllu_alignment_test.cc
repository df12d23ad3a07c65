#include "probes/part_of_speech/conllu_alignment.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/part_of_speech/treebank.h"
#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

std::vector<std::string> forms(const std::vector<TaggedWord>& words, const std::string& text) {
  std::vector<std::string> forms;
  for (const TaggedWord& word : words) {
    forms.push_back(text.substr(word.bytes.begin, word.bytes.size()));
  }
  return forms;
}

std::vector<TaggedWord> align_small(const std::string& text) {
  return align_conllu(test::small_treebank(), "tags.conllu", text, "a.txt");
}

const std::string kFirst = "The cat doesn't see the dog.";
const std::string kText =
    "\n" + kFirst +
    " A dog sees 2 small cats, and\n  Anna\u00a0sees it.\nSmall dogs quickly ran "
    "to\tthe house!\n\n";

TEST_CASE("a treebank's words are found in the text, whatever the white space") {
  const std::vector<TaggedWord> words = align_small(kText);
  REQUIRE(words.size() == 28);
  CHECK(forms({words.begin(), words.begin() + 8}, kText) ==
        std::vector<std::string>{"The", "cat", "does", "n't", "see", "the", "dog", "."});
  CHECK(words[3].tag == UniversalTag::part);
  CHECK(words[7].ends_sentence);
  CHECK_FALSE(words[6].ends_sentence);
  CHECK(words.back().bytes.end == kText.size() - 2);
}

TEST_CASE("a text that does not fit is refused by the line, the form and what was found") {
  std::string text = kText;
  text.replace(text.find("sees"), 4, "saw");
  CHECK_THAT(error_of([&] { align_small(text); }),
             Contains("tags.conllu: line 16: expected 'sees' at byte 36 of a.txt, found 'saw 2"));
  CHECK_THAT(error_of([&] { align_small(kFirst); }),
             Contains("line 14: expected 'A' at byte 28 of a.txt, found its end"));
  CHECK_THAT(error_of([&] { align_small(kText + "More."); }),
             Contains("expected words for all of a.txt, found none from byte 114 on: 'More.'"));
  CHECK_THAT(error_of([&] { align_small("x" + kText); }), Contains("expected 'The' at byte 0"));
}

TEST_CASE("a form with a space takes any white space") {
  const std::vector<ConlluSentence> sentences{
      {{{"New York", UniversalTag::propn}}, {{"New York", {0, 1}, 1}}, ""}};
  const std::string text = "New \n York";
  CHECK(forms(align_conllu(sentences, "t", text, "a"), text) == std::vector<std::string>{text});
  CHECK_THAT(error_of([&] { align_conllu(sentences, "t", "NewYork", "a"); }),
             Contains("expected 'New York' at byte 0"));
}

TEST_CASE("a multiword token that its words do not spell goes to the first") {
  const std::vector<ConlluSentence> sentences{
      {{{"de", UniversalTag::adp}, {"le", UniversalTag::det}}, {{"du", {0, 2}, 1}}, ""}};
  const std::vector<TaggedWord> words = align_conllu(sentences, "t", "du", "a");
  REQUIRE(words.size() == 2);
  CHECK(words[0].bytes == Range{0, 2});
  CHECK(words[1].bytes == Range{2, 2});
}

}  // namespace
}  // namespace longshadow
