#include "probes/subjects/screen.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "probes/subjects/subjects.h"

namespace longshadow {
namespace {

/// Two bins over `context` tokens: the first rises with the token, the last falls.
RunSketch sketch_of(std::size_t context) {
  RunSketch sketch;
  sketch.bins = {{0, 4}, {4, 8}};
  for (std::size_t i = 0; i < context; ++i) sketch.fi.push_back(static_cast<float>(i));
  for (std::size_t i = 0; i < context; ++i) sketch.fi.push_back(static_cast<float>(context - i));
  return sketch;
}

std::map<std::string, std::set<std::size_t>> groups_of(const std::vector<ScreenedToken>& tokens) {
  std::map<std::string, std::set<std::size_t>> groups;
  for (const ScreenedToken& one : tokens) groups[one.group].insert(one.token);
  return groups;
}

TEST_CASE("a screen measures the control sample, the first, the newest and the top of two bins") {
  const std::size_t context = 1000;
  ScreenOptions options;
  options.exact_share = 0.1;
  options.n_control = 50;
  const auto screened = screen(sketch_of(context), context, options, 3);
  auto groups = groups_of(screened);

  std::mt19937_64 random(3);
  const std::vector<std::size_t> drawn = draw(50, context, random);
  CHECK(groups["control"] == std::set<std::size_t>(drawn.begin(), drawn.end()));
  std::set<std::size_t> expected_recent, expected_top;
  for (std::size_t i = 936; i < 1000; ++i) expected_recent.insert(i);
  for (std::size_t i = 1; i < 100; ++i) expected_top.insert(i);    // of the last bin, but 0
  for (std::size_t i = 900; i < 936; ++i) expected_top.insert(i);  // of the first, but recent
  for (const std::size_t i : drawn) {
    expected_recent.erase(i);
    expected_top.erase(i);
  }
  CHECK(groups["recent"] == expected_recent);
  CHECK(groups["top"] == expected_top);
  if (groups["control"].count(0) == 0) CHECK(groups["first"] == std::set<std::size_t>{0});

  for (std::size_t i = 1; i < screened.size(); ++i) {
    CHECK(screened[i - 1].token < screened[i].token);  // each once
  }
}

TEST_CASE("the control sample depends on the seed and not on the sketch") {
  const ScreenOptions options{.exact_share = 0.5, .n_control = 20};
  RunSketch other = sketch_of(300);
  std::reverse(other.fi.begin(), other.fi.end());
  const auto control = [&](const RunSketch& sketch, std::uint64_t seed) {
    return groups_of(screen(sketch, 300, options, seed))["control"];
  };
  CHECK(control(sketch_of(300), 1) == control(other, 1));
  CHECK(control(sketch_of(300), 1) != control(sketch_of(300), 2));
}

TEST_CASE("a context shorter than the groups is measured whole") {
  CHECK(screen(sketch_of(10), 10, {}, 0).size() == 10);
  CHECK(screen(sketch_of(1), 1, {.exact_share = 0.01, .n_control = 0}, 0).size() == 1);
}

}  // namespace
}  // namespace longshadow
