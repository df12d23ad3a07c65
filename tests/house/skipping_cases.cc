// What skips_test.py runs: a test case for each way to pass, skip and fail.

#include <catch2/catch.hpp>

#include "tests/support/skip.h"

namespace longshadow {
namespace {

TEST_CASE("passes") { CHECK(true); }

TEST_CASE("skips") { test::skip("no model here"); }

TEST_CASE("fails and skips") {
  CHECK(false);
  test::skip("no model here");
}

TEST_CASE("skips and throws") {
  test::skip("no model here");
  throw 1;
}

TEST_CASE("fails as often as the code of a skip") {
  for (int i = 0; i < test::kSkipped; ++i) CHECK(false);
}

}  // namespace
}  // namespace longshadow
