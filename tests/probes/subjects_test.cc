#include "probes/subjects.h"

#include <catch2/catch.hpp>
#include <set>

#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using test::error_of;

std::vector<Range> ranges(const std::vector<Subject>& subjects) {
  std::vector<Range> tokens;
  for (const Subject& subject : subjects) tokens.push_back(subject.tokens);
  return tokens;
}

TEST_CASE("all: every token of the context") {
  const std::vector<Subject> subjects = parse_subjects("all", 3, 0);
  CHECK(ranges(subjects) == std::vector<Range>{{0, 1}, {1, 2}, {2, 3}});
  CHECK(subjects[0].group == "all");
}

TEST_CASE("list: tokens and spans, as written") {
  const std::vector<Subject> subjects = parse_subjects("list:9,3,7-9,0-9", 10, 0);
  CHECK(ranges(subjects) == std::vector<Range>{{9, 10}, {3, 4}, {7, 10}, {0, 10}});
  CHECK(subjects[3].group == "list");
}

TEST_CASE("sample: distinct tokens in order, the same for the same seed") {
  const auto sample = [](std::uint64_t seed) {
    return ranges(parse_subjects("sample:40", 100, seed));
  };
  const std::vector<Range> one = sample(1);
  REQUIRE(one.size() == 40);
  for (std::size_t i = 1; i < one.size(); ++i) CHECK(one[i - 1].begin < one[i].begin);
  for (const Range& range : one) CHECK((range.size() == 1 && range.end <= 100));
  CHECK(sample(1) == one);
  CHECK(sample(2) != one);
  CHECK(ranges(parse_subjects("sample:5", 5, 9)).size() == 5);
}

// Each token is in a sample of a fifth with chance 1/5: of 2000 samples 400 hold it, give or take
// sqrt(2000 / 5 * 4 / 5) = 18; six times that is left for the unluckiest of 20.
TEST_CASE("sample: every token is as likely as any other") {
  std::vector<int> drawn(20);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    for (const Subject& subject : parse_subjects("sample:4", 20, seed)) {
      ++drawn[subject.tokens.begin];
    }
  }
  for (const int times : drawn) CHECK(std::abs(times - 400) < 108);
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
                                 "sample:",
                                 "sample:x",
                                 "sample:-1",
                                 "sample:1.5",
                                 "sample:99999999999999999999",
                                 "All"}) {
    CAPTURE(text);
    CHECK_THAT(error_of([&] { parse_subjects(text, 10, 0); }), Contains("\"" + text + "\""));
    CHECK_THROWS_AS(parse_subjects(text, 10, 0), UsageError);
  }
  CHECK_THAT(error_of([] { parse_subjects("list:10", 10, 0); }), Contains("10") && Contains("9"));
  CHECK_THAT(error_of([] { parse_subjects("list:3,8-10", 10, 0); }), Contains("10"));
  CHECK_THAT(error_of([] { parse_subjects("list:9-7", 10, 0); }), Contains("9-7"));
  CHECK_THAT(error_of([] { parse_subjects("sample:0", 10, 0); }), Contains("between 1 and 10"));
  CHECK_THAT(error_of([] { parse_subjects("sample:11", 10, 0); }), Contains("between 1 and 10"));
}

TEST_CASE("evict-at: end and lag") {
  const EvictAt end = parse_evict_at("end");
  CHECK(start_of(end, {3, 4}, 100) == 100);
  CHECK(tokens_needed(end, 100, 20) == 120);
  // A token at i is gone from i + W + 1 on, a span from that of its last token.
  const EvictAt lag = parse_evict_at("lag:16");
  CHECK(start_of(lag, {3, 4}, 100) == 20);
  CHECK(start_of(lag, {3, 8}, 100) == 24);
  // The last token, 99, starts at 116 and is measured on 116 to 135.
  CHECK(tokens_needed(lag, 100, 20) == 136);
  CHECK(start_of(parse_evict_at("lag:0"), {3, 4}, 100) == 4);
  for (const std::string text : {"", "End", "lag", "lag:", "lag:x", "lag:-1", "lag:1 "}) {
    CAPTURE(text);
    CHECK_THAT(error_of([&] { parse_evict_at(text); }), Contains("\"" + text + "\""));
  }
}

}  // namespace
}  // namespace longshadow
