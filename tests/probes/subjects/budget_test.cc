#include "probes/subjects/budget.h"

#include <catch2/catch.hpp>
#include <string>

#include "engine/core/error.h"

namespace longshadow {
namespace {

TEST_CASE("budgets as written") {
  CHECK(parse_budget("0.4").share == 0.4);
  CHECK(parse_budget("1").share == 1);
  const std::vector<Budget> budgets = parse_budgets("0.40,1e-2");
  REQUIRE(budgets.size() == 2);
  CHECK(budgets[0].text == "0.40");
  CHECK(budgets[0].share == 0.4);
  CHECK(budgets[1].share == 0.01);
  for (const std::string text : {"", "0", "-0.1", "1.01", "nan", "0.4x", " 0.4", "40%"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_budget(text), UsageError);
    CHECK_THROWS_WITH(parse_budgets("0.4," + text), Catch::Contains("found \"" + text + "\""));
  }
}

}  // namespace
}  // namespace longshadow
