#include "probes/subjects/subjects.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <set>

#include "data/format/token_signals.h"
#include "tests/support/error_of.h"
#include "tests/support/probe_case.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;
using Ranges = std::vector<Range>;

const EvictAt kEnd{EvictAt::Kind::end, 0};

SubjectRules rules(std::size_t context, std::uint64_t seed = 0) {
  return {context, 4, 32, EvictAt{}, seed};
}

std::vector<Subject> choose(const std::string& text, const Document& document,
                            const SubjectRules& rules) {
  return choose_subjects(parse_selection(text), document, rules);
}

/// Of a document whose text does not matter.
std::vector<Subject> parse(const std::string& text, const SubjectRules& rules) {
  return choose(text, test::document_of({}), rules);
}

/// Of subjects that are one span each.
Ranges spans(const std::vector<Subject>& subjects) {
  Ranges tokens;
  for (const Subject& subject : subjects) {
    REQUIRE(subject.tokens.size() == 1);
    tokens.push_back(subject.tokens.front());
  }
  return tokens;
}

std::vector<std::size_t> tokens_of(const Subject& subject) {
  std::vector<std::size_t> tokens;
  for (const Range& range : subject.tokens) {
    for (std::size_t token = range.begin; token < range.end; ++token) tokens.push_back(token);
  }
  return tokens;
}

TEST_CASE("all: every token of the context") {
  const std::vector<Subject> subjects = parse("all", rules(3));
  CHECK(spans(subjects) == Ranges{{0, 1}, {1, 2}, {2, 3}});
  CHECK(subjects[0].group == "all");
}

TEST_CASE("list: tokens and spans, as written") {
  const std::vector<Subject> subjects = parse("list:9,3,7-9,0-9", rules(10));
  CHECK(spans(subjects) == Ranges{{9, 10}, {3, 4}, {7, 10}, {0, 10}});
  CHECK(subjects[3].group == "list");
}

TEST_CASE("set: all that is listed is one subject") {
  const std::vector<Subject> subjects = parse("set:9,3,6-7,4", rules(10));
  REQUIRE(subjects.size() == 1);
  CHECK(subjects[0].tokens == Ranges{{3, 5}, {6, 8}, {9, 10}});
  CHECK(span_of(subjects[0]) == Range{3, 10});
  CHECK(subjects[0].group == "set");
}

TEST_CASE("sample: distinct tokens in order, the same for the same seed") {
  const auto sample = [](std::uint64_t seed) {
    return spans(parse("sample:40", rules(100, seed)));
  };
  const Ranges one = sample(1);
  REQUIRE(one.size() == 40);
  for (std::size_t i = 1; i < one.size(); ++i) CHECK(one[i - 1].begin < one[i].begin);
  for (const Range& range : one) CHECK((range.size() == 1 && range.end <= 100));
  CHECK(sample(1) == one);
  CHECK(sample(2) != one);
  CHECK(spans(parse("sample:5", rules(5, 9))).size() == 5);
}

// Each token is in a sample of a fifth with chance 1/5: of 2000 samples 400 hold it, give or take
// sqrt(2000 / 5 * 4 / 5) = 18; six times that is left for the unluckiest of 20.
TEST_CASE("sample: every token is as likely as any other") {
  std::vector<int> drawn(20);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    for (const Range& token : spans(parse("sample:4", rules(20, seed)))) ++drawn[token.begin];
  }
  for (const int times : drawn) CHECK(std::abs(times - 400) < 108);
}

/// "It's a dog. Dogs don't mind" behind a BOS, cut into tokens as a tokenizer would.
Document words_document() {
  Document document = test::document_of({});
  document.text = "It's a dog. Dogs don't mind";
  for (const auto& [begin, end] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 0},
                                                                                   {0, 2},
                                                                                   {2, 4},
                                                                                   {4, 6},
                                                                                   {6, 10},
                                                                                   {10, 11},
                                                                                   {11, 15},
                                                                                   {15, 16},
                                                                                   {16, 20},
                                                                                   {20, 22},
                                                                                   {22, 27}}) {
    document.tokens.push_back({1, begin, end});
  }
  return document;
}

TEST_CASE("word: the tokens of a word together") {
  const Document document = words_document();
  const Ranges all{{1, 3}, {3, 4}, {4, 5}, {6, 8}, {8, 10}, {10, 11}};
  CHECK(spans(choose("word:6", document, rules(11))) == all);
  // "don't" is tokens 8 and 9: not wholly in a context of 9.
  const std::vector<Subject> subjects = choose("word:4", document, rules(9));
  CHECK(spans(subjects) == Ranges(all.begin(), all.begin() + 4));
  CHECK(subjects[0].group == "word");
  CHECK_THAT(error_of([&] { choose("word:5", document, rules(9)); }),
             Contains("between 1 and 4") && Contains("found 5"));

  std::set<std::size_t> drawn;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto three = [&] { return spans(choose("word:3", document, rules(11, seed))); };
    const Ranges words = three();
    CHECK(words == three());
    CHECK(std::is_sorted(words.begin(), words.end(),
                         [](const Range& a, const Range& b) { return a.end <= b.begin; }));
    for (const Range& word : words) drawn.insert(word.begin);
  }
  CHECK(drawn.size() == 6);
}

TEST_CASE("sentence: those that lie whole in the context") {
  Document document = test::document_of(std::vector<TokenId>(12));
  document.sentences = {{0, 3}, {3, 7}, {7, 9}, {9, 12}};
  const Ranges whole{{0, 3}, {3, 7}, {7, 9}};
  CHECK(spans(choose("sentence:all", document, rules(9))) == whole);
  CHECK(spans(choose("sentence:all", document, rules(11))) == whole);
  CHECK(choose("sentence:all", document, rules(9))[0].group == "sentence");
  CHECK(spans(choose("sentence:3", document, rules(11))) == whole);
  CHECK(spans(choose("sentence:1+sentence:all", document, rules(8))).size() == 3);

  std::set<std::size_t> drawn;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Ranges two = spans(choose("sentence:2", document, rules(11, seed)));
    CHECK(two == spans(choose("sentence:2", document, rules(11, seed))));
    CHECK((two.size() == 2 && two[0].end <= two[1].begin));
    for (const Range& sentence : two) drawn.insert(sentence.begin);
  }
  CHECK(drawn.size() == 3);
}

TEST_CASE("sentence: what is not there is refused") {
  Document document = test::document_of(std::vector<TokenId>(12));
  const auto refusal = [&](const std::string& text, std::size_t context) {
    return error_of([&] { choose(text, document, rules(context)); });
  };
  CHECK_THAT(refusal("sentence:all", 9), Contains("`pos` none") && Contains("`pos` auto"));
  document.sentences = {{0, 3}, {3, 7}, {7, 12}};
  CHECK_THAT(refusal("sentence:all", 2), Contains("sentence that ends within the context's 2") &&
                                             Contains("the first one has 3") &&
                                             Contains("`context`"));
  CHECK_THAT(refusal("sentence:3", 9),
             Contains("between 1 and 2, as many as the context has whole sentences"));
  CHECK_THAT(refusal("sentence:0", 9), Contains("found 0"));
  CHECK_THAT(refusal("sentence:-1", 9), Contains("-1"));
  CHECK_THAT(refusal("sentence", 9), Contains("sentence:all"));
}

/// Made-up signals of n tokens: different for each signal, and with ties.
RunSignals signals_of(std::size_t n, std::size_t n_layers, std::size_t n_kv_heads) {
  std::mt19937 random(5);
  const auto values = [&](std::size_t count) {
    std::vector<float> signal(count);
    for (float& value : signal) value = static_cast<float>(random() % 23);
    return signal;
  };
  RunSignals signals;
  signals.entropy = values(n);
  signals.surprisal = values(n);
  signals.surprisal[0] = std::numeric_limits<float>::quiet_NaN();
  signals.drift = values(n_layers * n);
  signals.attention_window = values(n_layers * n_kv_heads * n);
  signals.attention_cumulative = values(n_layers * n_kv_heads * n);
  return signals;
}

TEST_CASE("top: no token that is left has a higher value than one that goes") {
  const RunSignals signals = signals_of(120, 3, 2);
  SubjectRules of{100, 3, 20, kEnd, 0};
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    CAPTURE(kSignals[k].name);
    const std::string text = std::string("top:") + kSignals[k].name + ":10%";
    std::vector<Subject> subjects = parse(text, of);
    REQUIRE(subjects.size() == 1);
    CHECK(subjects[0].group == text);
    CHECK(subjects[0].tokens.empty());
    resolve_ranks(subjects, signals, of);
    const std::vector<std::size_t> tokens = tokens_of(subjects[0]);
    REQUIRE(tokens.size() == 10);
    const std::vector<double> values = token_signals(signals)[k];
    for (std::size_t other = 3; other < 80; ++other) {
      if (std::count(tokens.begin(), tokens.end(), other) != 0) continue;
      for (const std::size_t token : tokens) {
        CHECK((values[token] > values[other] || (values[token] == values[other] && token < other)));
      }
    }
    CHECK(tokens.front() >= 3);
    CHECK(tokens.back() < 80);
  }
}

TEST_CASE("top: signals mean what data/FORMAT.md says") {
  RunSignals signals = signals_of(50, 2, 2);
  signals.entropy[20] = 100;
  signals.surprisal[21] = 100;
  signals.drift[50 + 22] = 100;
  signals.attention_window[3 * 50 + 23] = 100;
  signals.attention_cumulative[24] = 100;
  const SubjectRules of{40, 4, 8, kEnd, 0};
  const auto top = [&](const std::string& signal) {
    std::vector<Subject> subjects = parse("top:" + signal + ":1%", of);
    resolve_ranks(subjects, signals, of);
    return tokens_of(subjects[0]);
  };
  using Tokens = std::vector<std::size_t>;
  CHECK(top("entropy-at") == Tokens{20});
  CHECK(top("entropy-before") == Tokens{21});
  CHECK(top("surprisal") == Tokens{21});
  CHECK(top("drift") == Tokens{22});
  CHECK(top("attention-window") == Tokens{23});
  CHECK(top("attention-cumulative") == Tokens{24});
}

TEST_CASE("top: a token without a value goes last") {
  const RunSignals signals = signals_of(10, 1, 1);
  const SubjectRules of{10, 0, 0, kEnd, 0};
  std::vector<Subject> subjects = parse("top:surprisal:90%+top:surprisal:100%", of);
  resolve_ranks(subjects, signals, of);
  CHECK(subjects[0].tokens == Ranges{{1, 10}});
  CHECK(subjects[1].tokens == Ranges{{0, 10}});
}

TEST_CASE("top:random: a draw that needs no signal, anew for each part") {
  const SubjectRules of{200, 4, 32, kEnd, 3};
  const std::vector<Subject> subjects = parse("top:random:20%+top:random:20%", of);
  REQUIRE(subjects.size() == 2);
  for (const Subject& subject : subjects) {
    CHECK_FALSE(subject.ranked);
    const std::vector<std::size_t> tokens = tokens_of(subject);
    CHECK(std::set(tokens.begin(), tokens.end()).size() == 40);
    CHECK(tokens.front() >= 4);
    CHECK(tokens.back() < 168);
  }
  CHECK(subjects[0].tokens != subjects[1].tokens);
  CHECK(parse("top:random:20%", of)[0].tokens == subjects[0].tokens);
}

TEST_CASE("top: needs eviction at the end, and enough tokens") {
  CHECK_THAT(error_of([] { parse("sample:3+top:drift:5%", rules(100)); }),
             Contains("top:drift:5%") && Contains("`evict_at` end"));
  CHECK_THAT(error_of([] { parse("top:random:5%", rules(100)); }), Contains("`evict_at` end"));
  SubjectRules of{100, 4, 32, kEnd, 0};
  CHECK(parse("top:drift:64%", of)[0].ranked->ranks.end == 64);
  CHECK_THAT(error_of([&] { parse("top:drift:65%", of); }),
             Contains("65 of") && Contains("leave 64") && Contains("`recent` 32"));
  of.n_sinks = 4000;
  CHECK_THAT(error_of([&] { parse("top:random:1%", of); }), Contains("leave 0"));
}

TEST_CASE("each: the tokens of the highest values, one at a time, whenever they leave") {
  const RunSignals signals = signals_of(120, 3, 2);
  for (const EvictAt evict_at : {kEnd, EvictAt{}}) {
    const SubjectRules of{100, 3, 20, evict_at, 0};
    std::vector<Subject> subjects = parse("each:drift:10+each:-drift:12", of);
    REQUIRE(subjects.size() == 22);
    CHECK(subjects[9].group == "each:drift:10");
    CHECK(subjects[10].group == "each:-drift:12");
    resolve_ranks(subjects, signals, of);
    const std::vector<double> values = token_signals(signals)[3];
    std::vector<double> expected(values.begin() + 3, values.begin() + 80);
    std::sort(expected.begin(), expected.end());
    std::set<std::size_t> highest;
    for (std::size_t i = 0; i < 22; ++i) {
      REQUIRE(tokens_of(subjects[i]).size() == 1);
      const std::size_t token = tokens_of(subjects[i]).front();
      CHECK(values[token] == (i < 10 ? expected[expected.size() - 1 - i] : expected[i - 10]));
      CHECK((token >= 3 && token < 80));
      if (i < 10) highest.insert(token);
    }
    CHECK(highest.size() == 10);
  }
}

TEST_CASE("each:random: distinct tokens that a ranking could have taken") {
  const std::vector<Subject> subjects = parse("each:random:60", rules(100));
  std::set<std::size_t> drawn;
  for (const Range& token : spans(subjects)) drawn.insert(token.begin);
  CHECK(drawn.size() == 60);
  CHECK(*drawn.begin() >= 4);
  CHECK(*drawn.rbegin() < 68);
  CHECK(subjects[0].group == "each:random:60");
  CHECK(spans(parse("each:random:64", rules(100))).size() == 64);
  CHECK_THAT(error_of([] { parse("each:random:65", rules(100)); }),
             Contains("between 1 and 64") && Contains("`recent`"));
}

TEST_CASE("top: a minus takes the lowest") {
  RunSignals signals = signals_of(50, 2, 2);
  signals.entropy[20] = -1;
  const SubjectRules of{40, 4, 8, kEnd, 0};
  std::vector<Subject> subjects = parse("top:-entropy-at:1%", of);
  resolve_ranks(subjects, signals, of);
  CHECK(subjects[0].tokens == Ranges{{20, 21}});
}

TEST_CASE("several selections keep their order and their names") {
  const std::vector<Subject> subjects =
      parse("sample:2+list:1,2+top:drift:5%+all", {10, 2, 3, kEnd, 0});
  std::vector<std::string> groups;
  for (const Subject& subject : subjects) groups.push_back(subject.group);
  std::vector<std::string> expected{"sample", "sample", "list", "list", "top:drift:5%"};
  expected.resize(15, "all");
  CHECK(groups == expected);
  // What follows a selection does not change its draw; a second draw is another.
  const std::vector<Subject> twice = parse("sample:4+sample:4", rules(100));
  const Ranges first = spans(parse("sample:4", rules(100)));
  for (std::size_t i = 0; i < 4; ++i) CHECK(twice[i].tokens.front() == first[i]);
  CHECK(twice[4].tokens != twice[0].tokens);
}

TEST_CASE("subjects that cannot be are refused by name") {
  for (const std::string text : {"",
                                 "some",
                                 "list",
                                 "list:",
                                 "list:,",
                                 "list:3,",
                                 "list:3,,4",
                                 "list:a",
                                 "list:3-",
                                 "list:-3",
                                 "list:3-4-5",
                                 "list: 3",
                                 "list:0x3",
                                 "list:99999999999999999999",
                                 "set",
                                 "set:",
                                 "set:3-",
                                 "sample:",
                                 "sample:x",
                                 "sample:-1",
                                 "sample:1.5",
                                 "sample:99999999999999999999",
                                 "word",
                                 "word:",
                                 "word:1",
                                 "top",
                                 "top:",
                                 "top:drift",
                                 "top:drift:",
                                 "top:drift:5",
                                 "top:drift:%",
                                 "top:drift:0%",
                                 "top:drift:-5%",
                                 "top:drift:101%",
                                 "top:drift:nan%",
                                 "top:drift:5%%",
                                 "top:drift:5% ",
                                 "top:taste:5%",
                                 "top:--drift:5%",
                                 "top:-random:5%",
                                 "each",
                                 "each:drift",
                                 "each:drift:",
                                 "each:drift:5%",
                                 "each:drift:0",
                                 "each:drift:-3",
                                 "each:taste:3",
                                 "policy:snapkv@0.2",
                                 "policy:snapkv",
                                 "policy:knorm@1",
                                 "policy:knorm@0",
                                 "policy:best@0.2",
                                 "all:",
                                 "+",
                                 "all+",
                                 "+all",
                                 "all++all",
                                 "All"}) {
    CAPTURE(text);
    const SubjectRules of{10, 0, 0, kEnd, 0};
    const auto select = [&] {
      make_selected_policies(parse_selection(text), of.context, of.n_sinks, {});
      parse(text, of);
    };
    CHECK_THROWS_AS(select(), UsageError);
  }
  const auto refusal = [](const std::string& text) {
    return error_of([&] { parse(text, rules(10)); });
  };
  CHECK_THAT(refusal("list:10"), Contains("10") && Contains("9"));
  CHECK_THAT(refusal("list:3,8-10"), Contains("10"));
  CHECK_THAT(refusal("list:9-7"), Contains("9-7"));
  CHECK_THAT(refusal("sample:0"), Contains("between 1 and 10"));
  CHECK_THAT(refusal("sample:11"), Contains("between 1 and 10"));
  CHECK_THAT(refusal("top:taste:5%"), Contains("entropy-before") && Contains("random"));
  CHECK_THAT(refusal("policies:snapkv"),
             Contains("policy:P@B") && Contains("word:N") && Contains("top:SIGNAL"));
}

}  // namespace
}  // namespace longshadow
