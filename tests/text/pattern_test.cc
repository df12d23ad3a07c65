#include "engine/text/pattern.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

std::vector<std::string> matches_of(const std::string& expression, const std::string& text) {
  std::vector<Range> matches;
  Pattern(expression, "tokenizer.json").find_all(text, matches);
  std::vector<std::string> found;
  for (const Range match : matches) found.push_back(text.substr(match.begin, match.size()));
  return found;
}

using Strings = std::vector<std::string>;

TEST_CASE("matches are found left to right, and empty ones end") {  // 89
  CHECK(matches_of("a+", "aabaaa") == Strings{"aa", "aaa"});
  CHECK(matches_of("", "ab") == Strings{"", "", ""});
  CHECK(matches_of("", "") == Strings{""});
  CHECK(matches_of("x*", "axxb\u00e9") == Strings{"", "xx", "", ""});
  CHECK(matches_of("(?=\u00e9)", "\u00e9\u00e9") == Strings{"", ""});
  CHECK(matches_of("$", "a\nb") == Strings{"", ""});
  CHECK(matches_of("a|(?<=a)", "aab") == Strings{"a", "a"});
}

TEST_CASE("white space is Unicode's, without the Mongolian vowel separator") {
  const std::string spaces =
      "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000";
  CHECK(matches_of("\\s+", spaces + "\u180e") == Strings{spaces});
  CHECK(matches_of("\\S+", spaces + "\u180e\u200b") == Strings{"\u180e\u200b"});
  CHECK(matches_of("[\\S]+", spaces + "\u180e\u200b") == Strings{"\u180e\u200b"});
  CHECK(matches_of("[^\\s]+", spaces + "\u180e\u200b") == Strings{"\u180e\u200b"});
  CHECK(matches_of("[^\\S\\n]+", "a \n\tb") == Strings{" ", "\t"});
}

TEST_CASE("digits and words are Unicode's") {
  CHECK(matches_of("\\d+", "a\u0663\u06641\u2167 22\u00bd") == Strings{"\u0663\u06641", "22"});
  CHECK(matches_of("\\D+", "1\u2167\u0663") == Strings{"\u2167"});
  CHECK(matches_of("\\w+", "a\u0301_\u203f\u0663\u2167\u200d") == Strings{"a\u0301_\u203f\u0663"});
}

TEST_CASE("what is certain of a beginning does not hang on its end being the text's") {
  std::vector<Range> matches;
  // Before line ends at the end a dollar holds, and no longer where the text goes on.
  CHECK(Pattern("$", "p").find_certain("a\n\n", matches) <= 1);
  CHECK(Pattern("b+", "p").find_certain("abab", matches) == 3);
  CHECK(matches == std::vector<Range>{{1, 2}});
}

TEST_CASE("an escaped text matches itself alone") {
  const std::string text = "a.b*[c]{2}(\\d)^$|?+ #-&&~\u00e9\n";
  CHECK(matches_of(escaped_for_pattern(text), "x" + text + text) == Strings{text, text});
}

TEST_CASE("a pattern that does not compile is refused") {  // 86
  for (const std::string expression : {"(", "a)", "[a", "*a", "a{2,1}", "\\p{NoSuchScript}", "\\p{",
                                       "(?<=a+)b", "\\", "[z-a]", "\\x{110000}", "\\ud800"}) {
    INFO(expression);
    CHECK_THAT(error_of([&] { Pattern(expression, "tokenizer.json"); }),
               Contains("tokenizer.json: pattern ") && Contains(" cannot be used: "));
  }
  CHECK_THAT(error_of([] { Pattern(std::string(70'000, 'a'), "tokenizer.json"); }),
             Contains("expected at most 65536 bytes, found 70000"));
}

TEST_CASE("callouts, verbs and what Oniguruma reads otherwise are refused") {  // 88
  for (const std::string expression :
       {"a(?C)",       "(?C1)a",    "(?C'text')a", "(*UTF)a",     "(*LIMIT_MATCH=1)a",
        "a(*COMMIT)b", "(*ACCEPT)", "(?R)",        "(a)(?1)",     "(a)\\1",
        "(?<n>a)",     "(?P<n>a)",  "(?&n)",       "(?(1)a|b)",   "(?|a|b)",
        "(?m:a)",      "(?x:a)",    "(?i)a",       "(?#c)a",      "\\Qa\\E",
        "\\Ca",        "a\\Kb",     "\\Ga",        "\\R",         "\\X",
        "\\h",         "\\v",       "\\N",         "\\bw",        "\\W",
        "\\pL",        "\\g{1}",    "\\0",         "\\x80",       "\\xf",
        "\\u12",       "a{,2}",     "a{1,2}+",     "[[:alpha:]]", "[a[b]]",
        "[a&&b]",      "[]a]",      "[^]a]",       "[\\b]",       "[\\W]",
        "[\\A]"}) {
    INFO(expression);
    CHECK_THAT(error_of([&] { Pattern(expression, "tokenizer.json"); }),
               Contains("is not supported"));
  }
  // The same signs as text.
  CHECK(matches_of("\\(*[(*C?)]", "((*") == Strings{"((*"});
  CHECK(matches_of("\\(\\?C\\)", "(?C)") == Strings{"(?C)"});
  CHECK(matches_of("a{b{2}", "a{bb") == Strings{"a{bb"});
}

TEST_CASE("a pattern that explodes gives up in time") {  // 87
  const auto start = std::chrono::steady_clock::now();
  for (const std::string expression :
       {"^(a+)+$", "(a|aa)+$", "(a*)*[bc]", "(?:a?){64}a{64}[^a!]"}) {
    INFO(expression);
    const Pattern pattern(expression, "tokenizer.json");
    std::vector<Range> matches;
    CHECK_THAT(error_of([&] { pattern.find_all(std::string(5000, 'a') + "!", matches); }),
               Contains("gave up on a text of 5001 bytes at byte 0: "));
  }
  // A match step takes some 10 ns; a minute is ten times what all of them may take with sanitizers.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(1));
}

TEST_CASE("a pattern that needs too much memory gives up") {
  const Pattern pattern("(?:a|b|cd)*[ef]", "tokenizer.json");
  std::vector<Range> matches;
  CHECK_THAT(error_of([&] { pattern.find_all(std::string(4'000'000, 'a'), matches); }),
             Contains("heap limit exceeded"));
}

TEST_CASE("long runs of spaces do not count as an explosion") {
  const std::string expression = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const std::string spaces(2'000'000, ' ');
  CHECK(matches_of(expression, spaces + " a") == Strings{spaces, " "});
}

}  // namespace
}  // namespace longshadow
