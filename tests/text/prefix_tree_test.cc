#include "engine/text/prefix_tree.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace longshadow {
namespace {

using Prefixes = std::vector<std::pair<std::size_t, std::size_t>>;

/// Holds the tree to a look at every string.
void check(const std::vector<std::string>& strings, const std::string& text) {
  INFO(text);
  Prefixes expected;
  bool goes_on = false;
  for (std::size_t length = 1; length <= text.size(); ++length) {
    for (std::size_t k = 0; k < strings.size(); ++k) {
      if (strings[k] == text.substr(0, length)) expected.emplace_back(k, length);
    }
  }
  for (const std::string& string : strings) {
    goes_on |= string.size() > text.size() && string.starts_with(text);
  }
  Prefixes found;
  const bool open = PrefixTree(strings).find_prefixes(
      text, [&](std::size_t k, std::size_t bytes) { found.emplace_back(k, bytes); });
  CHECK(found == expected);
  CHECK(open == goes_on);
}

TEST_CASE("the strings that a text begins with are found, the shortest first") {
  const std::vector<std::string> strings = {"abcde", "ab", "abd", "b", "abcxy", "\xff", "\x01"};
  for (const std::string text : {"abcdef", "abcde", "abcd", "abc", "ab", "a", "", "abx", "abcx",
                                 "b", "c", "\xff\x01", "\x01"}) {
    check(strings, text);
  }
  check({}, "a");
  check({}, "");
}

TEST_CASE("random strings are found as by a look at each") {
  std::mt19937 random(1);
  const auto random_string = [&](std::size_t most) {
    std::string string;
    for (std::size_t length = 1 + random() % most; length > 0; --length) {
      string += "ab\xc3\x80"[random() % 4];
    }
    return string;
  };
  for (int round = 0; round < 500; ++round) {
    std::set<std::string> distinct;
    for (std::size_t k = random() % 30; k > 0; --k) distinct.insert(random_string(6));
    std::vector<std::string> strings(distinct.begin(), distinct.end());
    std::shuffle(strings.begin(), strings.end(), random);
    check(strings, random_string(9));
  }
}

TEST_CASE("long strings take no more memory and time than their bytes") {
  std::string shared;
  shared.resize(20'000'000, 'a');
  const PrefixTree tree({shared + "b", shared + "c", shared});
  std::size_t found = 0;
  tree.find_prefixes(shared + "c", [&](std::size_t, std::size_t) { ++found; });
  CHECK(found == 2);
}

}  // namespace
}  // namespace longshadow
