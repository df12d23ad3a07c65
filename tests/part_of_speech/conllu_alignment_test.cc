#include "engine/part_of_speech/treebank/conllu_alignment.h"

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
  return align_conllu(test::small_treebank(), "tags.conllu", {text, "a.txt"});
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

/// What spaCy, Stanza and UDPipe wrote for one text (tests/parity/make_conllu_fixtures.py).
TEST_CASE("what other programs write fits the text that they read") {
  const std::string folder = LONGSHADOW_FIXTURES "/part_of_speech/written_by/";
  const std::string text = test::read_text(folder + "text.txt");
  for (const std::string program : {"spacy_conll", "stanza", "udpipe"}) {
    INFO(program);
    const auto sentences = read_conllu(test::read_text(folder + program + ".conllu"), program);
    CHECK(sentences.size() == 3);
    const std::vector<TaggedWord> words = align_conllu(sentences, program, {text, "text.txt"});
    // UDPipe's tokenizer without a model has three words for "It's" and "doesn't".
    CHECK(words.size() == (program == "udpipe" ? 25 : 23));
    const auto forgets = forms(words, text);
    REQUIRE(forgets[5] == "forgets");
    CHECK(words[5].tag == UniversalTag::verb);
    CHECK(forgets[6] == "them");
    CHECK(forgets.back() == ".");
    CHECK(words[2].ends_sentence);
    CHECK_FALSE(words[5].ends_sentence);
  }
}

TEST_CASE("words that look alike are told apart by their code points") {
  const auto error_for = [](const std::string& form, const std::string& text) {
    const std::vector<ConlluSentence> sentences{
        {{{form, UniversalTag::noun}}, {{form, {0, 1}, 7}}, ""}};
    return error_of([&] { align_conllu(sentences, "t", {text, "a.txt", 3}); });
  };
  const std::string nfc = error_for("caf\u00e9", "cafe\u0301, now");
  CHECK_THAT(nfc,
             Contains("t: line 7: expected 'caf\u00e9' (U+0063 U+0061 U+0066 U+00E9) at byte 3 of "
                      "a.txt, found 'cafe\u0301, now' (U+0063 U+0061 U+0066 U+0065 U+0301 U+002C); "
                      "they differ in Unicode's normal form alone"));
  CHECK_THAT(error_for("zerowidth", "zero\u200bwidth"), Contains("U+006F U+200B U+0077"));
  CHECK_THAT(error_for("zerowidth", "zero\u200bwidth"), !Contains("normal form"));
  CHECK_THAT(error_for("caf\u00e9", ""), Contains("found its end"));
  CHECK_THAT(error_for("\u00e9", "\xe9t"), Contains("found '\\xe9t' (byte E9 U+0074)"));
  CHECK_THAT(error_for("is", "was"), !Contains("U+"));
}

TEST_CASE("of a text that goes on only the words before the end are compared") {
  const std::vector<ConlluSentence> sentences{
      {{{"New", UniversalTag::adj}, {"York", UniversalTag::propn}},
       {{"New", {0, 1}, 1}, {"York", {1, 2}, 2}},
       ""}};
  const std::string text = "New Orleans";
  CHECK(align_conllu(sentences, "t", {text, "a", 0, 3}).size() == 1);
  CHECK(align_conllu(sentences, "t", {"New York and more", "a", 0, 8}).size() == 2);
  CHECK_THAT(error_of([&] {
               align_conllu(sentences, "t", {text, "a", 0, 5});
             }),
             Contains("expected 'York'"));
  CHECK_THAT(error_of([&] {
               align_conllu(sentences, "t", {"New York and", "a", 0, 10});
             }),
             Contains("expected words for all of a, found none from byte 9 on"));
}

TEST_CASE("a form with a space takes any white space") {
  const std::vector<ConlluSentence> sentences{
      {{{"New York", UniversalTag::propn}}, {{"New York", {0, 1}, 1}}, ""}};
  const std::string text = "New \n York";
  CHECK(forms(align_conllu(sentences, "t", {text, "a"}), text) == std::vector<std::string>{text});
  CHECK_THAT(error_of([&] {
               align_conllu(sentences, "t", {"NewYork", "a"});
             }),
             Contains("expected 'New York' at byte 0"));
}

TEST_CASE("a multiword token that its words do not spell goes to the first") {
  const std::vector<ConlluSentence> sentences{
      {{{"de", UniversalTag::adp}, {"le", UniversalTag::det}}, {{"du", {0, 2}, 1}}, ""}};
  const std::vector<TaggedWord> words = align_conllu(sentences, "t", {"du", "a"});
  REQUIRE(words.size() == 2);
  CHECK(words[0].bytes == Range{0, 2});
  CHECK(words[1].bytes == Range{2, 2});
}

}  // namespace
}  // namespace longshadow
