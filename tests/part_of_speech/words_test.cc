#include "engine/part_of_speech/words/words.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

namespace longshadow {
namespace {

using Strings = std::vector<std::string>;
using enum UniversalTag;

Strings words_of(const std::string& text) {
  Strings words;
  for (const TextWord& word : find_text_words(text)) {
    words.push_back(text.substr(word.bytes.begin, word.bytes.size()));
  }
  return words;
}

/// The words, an empty one behind each sentence.
Strings sentences_of(const std::string& text) {
  Strings words;
  for (const TextWord& word : find_text_words(text)) {
    words.push_back(text.substr(word.bytes.begin, word.bytes.size()));
    if (word.ends_sentence) words.push_back("");
  }
  return words;
}

/// The tags that the first word of `text` may have.
TagSet allowed_for(const std::string& text) { return find_text_words(text).at(0).allowed; }

TEST_CASE("English words are found as Universal Dependencies counts them") {
  CHECK(words_of("It's the cat's; they don't, won't and CAN'T.") ==
        Strings{"It", "'s", "the", "cat", "'s", ";", "they", "do", "n't", ",", "wo", "n't", "and",
                "CA", "N'T", "."});
  CHECK(words_of("we’ll say I’d’ve o’clock") ==
        Strings{"we", "’ll", "say", "I’d", "’ve", "o’clock"});
  CHECK(words_of("You cannot; the dogs' house") ==
        Strings{"You", "can", "not", ";", "the", "dogs", "'", "house"});
  CHECK(words_of("a well-known e-mail (non-human)") ==
        Strings{"a", "well", "-", "known", "e-mail", "(", "non-human", ")"});
  CHECK(words_of("\"Yes,\" he said... \"No?!\"") ==
        Strings{"\"", "Yes", ",", "\"", "he", "said", "...", "\"", "No", "?!", "\""});
  CHECK(words_of("").empty());
  CHECK(words_of(" \n\t\u00a0").empty());
}

TEST_CASE("numbers and abbreviations stay whole") {
  CHECK(words_of("On 12/31/1999, 1,234.5 of 10% at 3:45pm: $5") ==
        Strings{"On", "12/31/1999", ",", "1,234.5", "of", "10", "%", "at", "3:45", "pm", ":", "$",
                "5"});
  CHECK(words_of("Dr. J. Smith of the U.S., e.g. No. 5, etc.") ==
        Strings{"Dr.", "J.", "Smith", "of", "the", "U.S.", ",", "e.g.", "No.", "5", ",", "etc."});
  CHECK(words_of("the 1990s, 5th, CO2") == Strings{"the", "1990s", ",", "5th", ",", "CO2"});
  CHECK(allowed_for("1,234.5") == TagSet{num});
  CHECK(allowed_for("\u00bd") == TagSet{num});
  CHECK(allowed_for("1990s").contains(noun));
}

TEST_CASE("what is not prose has no noun's tag") {
  for (const std::string text :
       {"<br/>", "<a href=\"x y\">", "</p>", "&nbsp;", "&#x20;", "\\alpha", "std::vector", "f()",
        "snake_case", "__init__", "--option-name", "np.array", "/usr/lib/libc.so", "a/b/c.txt",
        "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627", "\u4f60\u597d"}) {
    INFO(text);
    CHECK(words_of(text) == Strings{text});
    CHECK(allowed_for(text) == TagSet{x});
  }
  for (const std::string text :
       {"https://example.org/a?b=c#d", "www.example.org", "a.b@c-d.org", "\U0001f600",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2192", "->", ":-)", "\u20ac"}) {
    INFO(text);
    CHECK(words_of(text) == Strings{text});
    CHECK(allowed_for(text) == TagSet{sym});
  }
  for (const std::string text : {",", "(", "\u201c", "--", "$", "*", "+"}) {
    INFO(text);
    CHECK(allowed_for(text) == TagSet{punct, sym});
  }
  CHECK_FALSE(allowed_for("word").contains(punct));
}

TEST_CASE("an address ends before the sentence's punctuation") {
  CHECK(words_of("(see http://a.org/b_(c).html).") ==
        Strings{"(", "see", "http://a.org/b_", "(", "c", ")", ".", "html", ")", "."});
  CHECK(words_of("At http://a.org/b, ask x@y.org.") ==
        Strings{"At", "http://a.org/b", ",", "ask", "x@y.org", "."});
}

/// The words that can have the tag X alone.
Strings others_in(const std::string& text) {
  Strings others;
  for (const TextWord& word : find_text_words(text)) {
    if (word.allowed == TagSet{x}) {
      others.push_back(text.substr(word.bytes.begin, word.bytes.size()));
    }
  }
  return others;
}

TEST_CASE("words of code have the tag X alone") {
  CHECK(others_in("call `run me 3` now, ``a ` b`` and ``quoted'' text") ==
        Strings{"run", "me", "a", "b"});
  CHECK(others_in("see\n  ```c++\nfor word in 5\n~~~\n```\nend ```a``` b") ==
        Strings{"c", "for", "word", "in", "a"});
  CHECK(others_in("a ` b\n```\nnever closed `c` d") == Strings{"c"});
}

TEST_CASE("sentences end at terminal punctuation, blank lines and list items") {
  CHECK(sentences_of("He left. She (too?) stayed \"now.\" Then on") ==
        Strings{"He", "left", ".", "", "She", "(", "too", "?", ")", "stayed", "\"", "now", ".",
                "\"", "", "Then", "on", ""});
  CHECK(sentences_of("Mr. Li met Dr. Wu. Ok") ==
        Strings{"Mr.", "Li", "met", "Dr.", "Wu", ".", "", "Ok", ""});
  CHECK(sentences_of("1. Add.\n 12. Stop. Why 3. Go\n\n4.\n5) No") ==
        Strings{"1", ".", "Add", ".",  "", "12", ".", "Stop", ".", "",   "Why",
                "3", ".", "",    "Go", "", "4",  ".", "5",    ")", "No", ""});
  CHECK(sentences_of("4! Go") == Strings{"4", "!", "", "Go", ""});
  CHECK(sentences_of("Sure? 12. So") == Strings{"Sure", "?", "", "12", ".", "", "So", ""});
  CHECK(sentences_of("title\n\nline one\nline two\n- item") ==
        Strings{"title", "", "line", "one", "line", "two", "", "-", "item", ""});
}

/// Every byte but white space lies in exactly one word.
void check_cover(const std::string& text) {
  std::vector<int> covered(text.size());
  std::size_t previous_end = 0;
  for (const TextWord& word : find_text_words(text)) {
    REQUIRE(word.bytes.begin >= previous_end);
    REQUIRE(word.bytes.size() != 0);
    REQUIRE(word.bytes.end <= text.size());
    REQUIRE_FALSE(word.allowed.empty());
    for (std::size_t i = word.bytes.begin; i < word.bytes.end; ++i) covered[i] = 1;
    previous_end = word.bytes.end;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (covered[i] == 0) REQUIRE(std::string(" \t\n\r\v\f").find(text[i]) != std::string::npos);
  }
}

TEST_CASE("every byte that is not white space belongs to a word") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  check_cover(bytes);
  check_cover("\xff\xfe caf\xc3\xa9 \xed\xa0\x80\xc3(");
  check_cover(
      "<p class=\"\u05e9\u05dc\u05d5\u05dd\">\u0645\u0631\u062d\u0628\u0627 <b>x</b> &amp; "
      "\\frac{1}{2}");
  check_cover(
      "if (a[i] != '\\0') { return f(x)->y; } // #define X_Y 0x1F \U0001f1e9\U0001f1ea\ufe0f");
}

TEST_CASE("long and repetitive texts take time that grows with their length") {
  const auto start = std::chrono::steady_clock::now();
  for (const std::string unit : {"a",       "<",  "<a ",        "&a",     "a.", "a@",    "a-",
                                 "http://", "_",  "::",         "a::",    "'",  "a'",    "1.",
                                 "1-",      "/",  "a/",         ".",      "`",  "```\n", "\\",
                                 " ",       "\n", "\U0001f600", "\u05e9", "e-", "\xff",  "w.a."}) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    INFO(unit);
    check_cover(text);
  }
  // Five megabytes take some seconds; a quadratic step would take hours.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(3));
}

}  // namespace
}  // namespace longshadow
